"""Voxel grids as plain matrices, without the code under test.

An affine here is (4, 4) and maps array indices ``(z, y, x, 1)`` to LPS mm.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Affine = NDArray[np.float64]
Order = tuple[tuple[int, ...], tuple[bool, ...]]

ORDERS: tuple[Order, ...] = tuple(
    (axes, flips)
    for axes in itertools.permutations(range(3))
    for flips in itertools.product((False, True), repeat=3)
)
TILTS = ("straight", "slightly oblique", "oblique", "sheared")
RAS_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def random_affine(rng: np.random.Generator, tilt: str) -> Affine:
    """Return a grid anisotropic in all three axes, somewhere within half a metre."""
    angle = {"straight": 0.0, "slightly oblique": 0.02}.get(tilt, 1.0)
    axes = _turned(rng.uniform(-angle, angle, 3))
    if tilt == "sheared":
        # As a tilted gantry does: the step between slices leaves the normal.
        axes[:, 0] += np.tan(rng.uniform(0.1, 0.5)) * axes[:, 1]
    affine = np.eye(4)
    affine[:3, :3] = axes * np.sort(rng.uniform(0.3, 1.2, 3))[::-1] * (4.0, 1.7, 1.0)
    affine[:3, 3] = rng.uniform(-250, 250, 3)
    return affine


def random_voxels(rng: np.random.Generator, beyond: int) -> Array:
    """Return voxels 0 to 199 of a random type, 3 to `beyond` - 1 of them along each axis."""
    kind = ("u1", "i2", "u2", "f4")[rng.integers(4)]
    shape = tuple(int(n) for n in rng.integers(3, beyond, 3))
    return rng.integers(0, 200, shape).astype(kind)


def reordered(array: Array, affine: Affine, order: Order) -> tuple[Array, Affine]:
    """Permute and flip axes; every voxel stays where it was in space."""
    axes, flips = order
    moved = array.transpose(axes)
    index = np.zeros((4, 4))
    index[3, 3] = 1
    for new, old in enumerate(axes):
        index[old, new] = -1 if flips[new] else 1
        index[old, 3] = moved.shape[new] - 1 if flips[new] else 0
    steps = tuple(slice(None, None, -1 if flip else 1) for flip in flips)
    return np.ascontiguousarray(moved[steps]), affine @ index


def corners(affine: Affine, shape: tuple[int, ...]) -> Affine:
    """Return the LPS centres of the eight corner voxels, (8, 3)."""
    ends = itertools.product(*[(0, n - 1) for n in shape])
    return np.array([(affine @ (*corner, 1))[:3] for corner in ends])


def misplaced(found: Array, affine: Affine, truth: Array, true_affine: Affine) -> str:
    """Say how `found` differs from `truth` when both are laid into space; empty if it does not."""
    if found.size != truth.size:
        return f"{found.shape} voxels instead of {truth.shape}"
    indices = np.indices(found.shape).reshape(3, -1)
    places = affine @ np.vstack([indices, np.ones(found.size)])
    mapped = (np.linalg.inv(true_affine) @ places)[:3]
    nearest = np.rint(mapped).astype(int)
    if np.abs(mapped - nearest).max() > 1e-2:
        return f"voxels lie {np.abs(mapped - nearest).max():.3g} of a voxel off the true grid"
    if (nearest < 0).any() or (nearest >= np.array(truth.shape)[:, None]).any():
        return "voxels lie outside the true grid"
    wrong = int(np.count_nonzero(found.reshape(-1) != truth[tuple(nearest)]))
    return f"{wrong} of {found.size} voxels differ" if wrong else ""


def is_right_handed(affine: Affine) -> bool:
    """Whether slices ascend along row direction x column direction, as DICOM wants."""
    return bool(np.linalg.det(affine[:3, :3]) < 0)


def _turned(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return axes (3, 3), one column per array axis z, y, x, turned about all three."""
    turned = np.eye(3)[:, ::-1]
    for axis, angle in enumerate(angles):
        one, two = [a for a in range(3) if a != axis]
        turn = np.eye(3)
        turn[one, one] = turn[two, two] = np.cos(angle)
        turn[one, two], turn[two, one] = -np.sin(angle), np.sin(angle)
        turned = turn @ turned
    return turned
