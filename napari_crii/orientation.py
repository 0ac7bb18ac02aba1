"""Where a grid's axes point in the patient, and how its slices are laid on a screen.

Radiologists see an axial slice from below (the patient's right on the left of the screen, the
front up), a coronal and a sagittal one with the head up. Only the view is turned: a plane can be
transposed and flipped, no voxel moves.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from napari_crii.geometry import Geometry

# LPS: x grows to the Left, y to the Posterior, z to the Superior.
_POSITIVE, _NEGATIVE = "LPS", "RAI"
# What a radiologist expects indices to grow towards: down the screen, and to its right.
_DOWNWARDS, _RIGHTWARDS = "PIL", "LPI"
# An edge is named after every patient axis that it is less than 67.5 degrees away from.
_NAMED = float(np.cos(np.radians(67.5)))


@dataclass(frozen=True)
class Edges:
    """What lies at the edges of the screen, such as ``top="A"``, or ``"AR"`` where oblique."""

    top: str = ""
    bottom: str = ""
    left: str = ""
    right: str = ""


@dataclass(frozen=True)
class Layout:
    """How a plane of a grid is laid on the screen; the default is as arrays are printed.

    Attributes
    ----------
    down, right
        Whether indices grow downwards along the vertical axis, to the right along the
        horizontal one.
    towards
        Whether indices of the axis that is stepped through grow towards the viewer.
    edges
        What lies where.
    """

    down: bool = True
    right: bool = True
    towards: bool = True
    edges: Edges = Edges()


def letters(geometry: Geometry) -> str:
    """Return one letter per array axis: where it points in the patient, as nearly as possible.

    Each pair (L and R, P and A, S and I) is used once, however oblique the grid.
    """
    axes = np.array(geometry.direction)
    best = max(permutations(range(3)), key=lambda p: float(np.abs(axes[range(3), p]).sum()))
    return "".join(
        (_POSITIVE if axis[patient] > 0 else _NEGATIVE)[patient]
        for axis, patient in zip(axes, best, strict=True)
    )


def opposite(letter: str) -> str:
    """Return the letter on the other side of the patient."""
    return (_NEGATIVE + _POSITIVE)[(_POSITIVE + _NEGATIVE).index(letter)]


def towards(vector: NDArray[np.floating]) -> str:
    """Return the letters of a unit vector in LPS, the nearest patient axis first."""
    near = sorted(range(3), key=lambda axis: -abs(vector[axis]))
    named = [axis for axis in near if abs(vector[axis]) > _NAMED]
    return "".join((_POSITIVE if vector[axis] > 0 else _NEGATIVE)[axis] for axis in named)


def upright_axes(geometry: Geometry, stepped: int) -> tuple[int, int]:
    """Return the (vertical, horizontal) array axes of slices along axis `stepped`."""
    pointing = letters(geometry)
    first, second = (axis for axis in range(3) if axis != stepped)
    # Head and feet belong to the top and bottom; on an axial slice, front and back do.
    for pair in ("SI", "AP"):
        if pointing[stepped] not in pair:
            return (second, first) if pointing[second] in pair else (first, second)
    raise AssertionError("an axis cannot point two ways")


def lay_out(geometry: Geometry, vertical: int, horizontal: int) -> Layout:
    """Return how the plane of two array axes is laid on the screen, as radiologists expect it."""
    pointing, axes = letters(geometry), np.array(geometry.direction)
    down = pointing[vertical] in _DOWNWARDS
    right = pointing[horizontal] in _RIGHTWARDS
    to_bottom = axes[vertical] if down else -axes[vertical]
    to_right = axes[horizontal] if right else -axes[horizontal]
    away = np.cross(to_right, to_bottom)
    stepped = axes[3 - vertical - horizontal]
    edges = Edges(towards(-to_bottom), towards(to_bottom), towards(-to_right), towards(to_right))
    return Layout(down, right, bool(stepped @ away < 0), edges)
