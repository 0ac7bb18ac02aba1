"""How a slice is laid on the screen: against positions that the affine gives, for all 48 grids."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest

from napari_crii.geometry import Geometry
from napari_crii.orientation import Edges, Layout, lay_out, letters, towards, upright_axes
from tests.conftest import make_oblique

SHAPE = (4, 5, 6)
GRIDS = [(p, s) for p in permutations(range(3)) for s in product((1, -1), repeat=3)]
# By the patient axis that slices are stepped along: where the screen's right and bottom lie.
RIGHT = {0: (0, 1, 0), 1: (1, 0, 0), 2: (1, 0, 0)}
BOTTOM = {0: (0, 0, -1), 1: (0, 0, -1), 2: (0, 1, 0)}
PLANES = [(stepped, grid) for stepped in range(3) for grid in GRIDS]


def grid_of(patient: tuple[int, ...], signs: tuple[int, ...]) -> Geometry:
    """Return a grid whose array axis `a` runs along patient axis ``patient[a]``."""
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, (along, sign, step) in enumerate(zip(patient, signs, (5.0, 0.7, 1.3), strict=True)):
        affine[along, axis] = sign * step
    affine[:3, 3] = (11, -7, 3)
    return Geometry.from_affine(affine)


def on_screen(geometry: Geometry, vertical: int, horizontal: int, layout: Layout) -> np.ndarray:
    """Return the position of every pixel of the middle slice as it stands on the screen.

    (rows, columns, 3), the first row at the top of the screen, the first column at its left.
    """
    stepped = 3 - vertical - horizontal
    indices = np.indices(SHAPE).reshape(3, -1)
    homogeneous = np.vstack([indices, np.ones(indices.shape[1])])
    places = (geometry.affine @ homogeneous)[:3].reshape(3, *SHAPE)
    plane = places.transpose(1 + stepped, 1 + vertical, 1 + horizontal, 0)[SHAPE[stepped] // 2]
    plane = plane if layout.down else plane[::-1]
    return plane if layout.right else plane[:, ::-1]


@pytest.mark.parametrize(("stepped", "grid"), PLANES)
def test_every_grid_is_laid_as_radiologists_expect(stepped, grid):
    geometry = grid_of(*grid)
    vertical, horizontal = upright_axes(geometry, stepped)
    layout = lay_out(geometry, vertical, horizontal)
    pixels = on_screen(geometry, vertical, horizontal, layout)
    to_right = pixels[0, -1] - pixels[0, 0]
    to_bottom = pixels[-1, 0] - pixels[0, 0]
    plane = grid[0][stepped]
    assert np.allclose(to_right / np.linalg.norm(to_right), RIGHT[plane])
    assert np.allclose(to_bottom / np.linalg.norm(to_bottom), BOTTOM[plane])
    head = {
        0: Edges("S", "I", "A", "P"),
        1: Edges("S", "I", "R", "L"),
        2: Edges("A", "P", "R", "L"),
    }
    assert layout.edges == head[plane]


@pytest.mark.parametrize(("stepped", "grid"), PLANES)
def test_a_body_seen_in_3d_is_not_mirrored(stepped, grid):
    geometry = grid_of(*grid)
    vertical, horizontal = upright_axes(geometry, stepped)
    for axes in ((vertical, horizontal), (horizontal, vertical)):
        layout = lay_out(geometry, *axes)
        pixels = on_screen(geometry, *axes, layout)
        to_viewer = np.cross(pixels[-1, 0] - pixels[0, 0], pixels[0, -1] - pixels[0, 0])
        step = geometry.affine[:3, stepped]
        assert (step @ to_viewer > 0) is np.bool_(layout.towards)


def test_edges_of_an_oblique_slice_are_named_after_every_near_axis():
    geometry = make_oblique()
    layout = lay_out(geometry, *upright_axes(geometry, 0))
    # Turned by 23 degrees in the plane: the edges say so.
    assert letters(geometry) == "SPL"
    assert layout.edges == Edges("AL", "PR", "RA", "LP")
    assert towards(np.array([0.0, -0.6, 0.8])) == "SA"


def test_slices_whose_axes_are_nearly_ambiguous_are_turned_the_same_way():
    """Two short axes of a heart, between coronal and sagittal: head up on either side."""
    for lean in (-0.02, 0.02):
        angle = np.radians(45) + lean
        across = (np.cos(angle), np.sin(angle), 0.0)
        through = (-np.sin(angle), np.cos(angle), 0.0)
        stored = Geometry(direction=(through, across, (0.0, 0.0, -1.0)))
        vertical, horizontal = upright_axes(stored, 0)
        assert (vertical, horizontal) == (2, 1)
        layout = lay_out(stored, vertical, horizontal)
        assert (layout.down, layout.right) == (True, True)
        assert layout.edges.top == "S"
        assert sorted(layout.edges.right) == ["L", "P"]
