"""The view as radiologists expect it: the picture is turned, strokes and files are not."""

from __future__ import annotations

from dataclasses import fields, replace

import nibabel as nib
import numpy as np
import pytest

from napari_crii.geometry import Geometry
from napari_crii.io import read_mask
from napari_crii.orientation import Edges
from napari_crii.volume import ORIENTATION_UNKNOWN, Volume
from tests.factories import noise_scan

pytestmark = pytest.mark.gui

L, P, S = np.eye(3)
# Slices, rows, columns: what needs flips, and what needs a swap of axes too.
FLIPPED, SWAPPED, SAGITTAL = (S, -P, -L), (-S, L, -P), (L, -S, -P)
SHAPE = (4, 32, 36)


def scan_along(directions: tuple[np.ndarray, ...], slice_axis: int = 0) -> Volume:
    scan = noise_scan(slice_axis, SHAPE)
    spread = list(directions[1:])
    spread.insert(slice_axis, directions[0])
    first, second, third = (tuple(float(x) for x in d) for d in spread)
    spacing = scan.geometry.spacing
    grid = Geometry(spacing, (-20.0, 5.5, 61.0), (first, second, third))
    return Volume(scan.array, grid, "scan")


def edges(window) -> Edges:
    overlays = window.viewer.canvas.overlays
    names = [field.name for field in fields(Edges)]
    shown = {n: overlays[f"napari_crii_{n}"] for n in names if f"napari_crii_{n}" in overlays}
    return Edges(**{n: overlay.text for n, overlay in shown.items() if overlay.visible})


def on_canvas(window, point: tuple[float, float]) -> np.ndarray:
    place = window._on_canvas(point)
    return np.array([place.x(), place.y()])


@pytest.mark.parametrize("directions", [SWAPPED, SAGITTAL], ids=["swapped", "sagittal"])
def test_the_picture_is_turned_and_strokes_patches_and_files_are_not(
    open_window, engine, tmp_path, directions
):
    window = open_window(scan_along(directions, slice_axis=2))
    window.propose(engine.last)
    window.show(2)
    assert_upright(window, directions)
    assert_a_stroke_lands_on_its_voxel_and_the_mask_keeps_its_grid(window, tmp_path / "m.nii.gz")
    assert_the_next_patch_is_in_the_middle(window)


def assert_upright(window, directions):
    through, down, across = directions
    start = on_canvas(window, (4, 4))
    # From pixels of the screen to patient space: rows and columns are one step of each axis.
    moves = np.array([on_canvas(window, (24, 4)) - start, on_canvas(window, (4, 24)) - start])
    to_right, to_bottom = (np.sign(moves.T.round()) @ np.array([down, across])).round()
    plane = int(np.abs(through).argmax())
    assert np.array_equal(to_right, [P, L, L][plane])
    assert np.array_equal(to_bottom, [-S, -S, P][plane])
    expected = [Edges("S", "I", "A", "P"), Edges("S", "I", "R", "L"), Edges("A", "P", "R", "L")]
    window.until(lambda: edges(window) == expected[plane])


def assert_a_stroke_lands_on_its_voxel_and_the_mask_keeps_its_grid(window, path):
    scan = window.case.volume
    layer = window.activate("Human mask", "paint")
    layer.selected_label, layer.brush_size = 2, 1
    window.stroke((28, 6), (28, 12))
    drawn = window.case.human.labels[2] == 2
    assert drawn[28, 6:12].all()
    assert np.argwhere(drawn).min(axis=0).tolist() == [28, 6]
    assert np.argwhere(drawn)[:, 0].max() == 28
    window.controller.save(path, True)
    window.until(lambda: not window.status.startswith("Saving"))
    labels, _ = read_mask(path, like=scan)
    assert np.array_equal(labels, window.case.mask(True))
    assert np.array_equal(np.moveaxis(labels, 2, 0)[2] == 2, drawn)
    affine = nib.load(path).affine
    expected = np.diag([-1, -1, 1, 1]) @ scan.geometry.affine[:, [2, 1, 0, 3]]
    assert np.allclose(affine, expected, atol=1e-5)
    window.controller.undo()
    assert not (window.data("Human mask")[2] == 2).any()


def assert_the_next_patch_is_in_the_middle(window):
    window.controller.go(1)
    window.qtbot.wait(50)
    patch = window.controller.review.current
    assert window.controller.binding.slices.current == patch.slice
    native = window.canvas.native
    middle = np.array([native.width(), native.height()]) / 2
    assert np.abs(on_canvas(window, patch.box.center) - middle).max() <= 3


def test_other_planes_are_turned_too_until_the_dock_goes_and_a_swap_by_the_user_stays(open_window):
    window = open_window(scan_along(FLIPPED))
    window.begin()
    # napari warns that it draws no outlines in 3-D.
    window.viewer.layers["Proposal"].contour = 0
    dims = window.viewer.dims
    dims.order = (1, 2, 0)
    assert dims.order == (1, 0, 2)
    window.until(lambda: edges(window) == Edges("S", "I", "R", "L"))
    dims.order = (1, 2, 0)
    assert dims.order == (1, 2, 0)
    window.until(lambda: edges(window) == Edges("R", "L", "S", "I"))
    dims.order = (2, 1, 0)
    window.until(lambda: edges(window) == Edges("S", "I", "A", "P"))
    dims.ndisplay = 3
    window.until(lambda: edges(window) == Edges())
    dims.ndisplay = 2
    window.until(lambda: edges(window) == Edges("S", "I", "A", "P"))
    window.end()
    assert edges(window) == Edges()
    before = tuple(window.viewer.scene.camera.orientation)
    dims.order = (1, 0, 2)
    assert tuple(window.viewer.scene.camera.orientation) == before


def test_a_scan_that_does_not_tell_how_it_lies_is_shown_as_stored_without_letters(open_window):
    lost = replace(scan_along(SWAPPED), remarks=(f"{ORIENTATION_UNKNOWN}: no form",))
    window = open_window(lost)
    window.begin()
    window.qtbot.wait(200)
    assert window.viewer.dims.order == (0, 1, 2)
    assert [str(part) for part in window.viewer.scene.camera.orientation[1:]] == ["down", "right"]
    assert edges(window) == Edges()
