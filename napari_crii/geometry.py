"""Where a voxel grid lies in the patient: one frozen value object.

Array axes are ``(z, y, x)``: axis 0 varies slowest in memory. Patient space is DICOM's LPS
(x to the Left, y to the Posterior, z to the Superior), in mm. NIfTI's RAS is a sign away and
is met in :mod:`napari_crii.io` only.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_crii.errors import GeometryError

Vector = tuple[float, float, float]
Unit = Literal["mm", "px"]

CORNER_TOLERANCE_MM = 1e-3
ORTHOGONALITY_TOLERANCE = 1e-4
EQUAL_SPACING_TOLERANCE = 1e-2


@dataclass(frozen=True)
class Geometry:
    """Spacing, origin and direction of a 3-D grid.

    Attributes
    ----------
    spacing
        Distance between neighbouring voxels along array axes ``(z, y, x)``, in `unit`.
    origin
        LPS position of the centre of voxel ``[0, 0, 0]``, in `unit`.
    direction
        One unit vector in LPS per array axis: ``direction[a]`` is where array axis ``a``
        points. Not orthogonal when the grid is sheared (a tilted gantry).
    frame_of_reference
        DICOM's Frame of Reference UID, or an empty string.
    unit
        ``"mm"``, or ``"px"`` when the file says nothing about size.
    """

    spacing: Vector = (1.0, 1.0, 1.0)
    origin: Vector = (0.0, 0.0, 0.0)
    direction: tuple[Vector, Vector, Vector] = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
    frame_of_reference: str = ""
    unit: Unit = "mm"

    def __post_init__(self) -> None:
        """Refuse what is no grid: zero, negative or non-finite spacing, flat or wild directions."""
        numbers = np.array([*self.spacing, *self.origin, *itertools.chain(*self.direction)])
        if not np.isfinite(numbers).all():
            raise GeometryError("the grid's spacing, origin or direction is not a finite number")
        if min(self.spacing) <= 0:
            raise GeometryError(f"the voxel spacing {self.spacing} is not positive")
        axes = np.array(self.direction)
        if not np.allclose(np.linalg.norm(axes, axis=1), 1.0, atol=1e-4):
            raise GeometryError("the direction of an axis is not a unit vector")
        if abs(np.linalg.det(axes)) < 1e-3:
            raise GeometryError("two axes of the grid point the same way")

    @classmethod
    def from_affine(
        cls, affine: NDArray[np.floating], frame_of_reference: str = "", unit: Unit = "mm"
    ) -> Geometry:
        """Build from a matrix that maps array indices to LPS.

        Parameters
        ----------
        affine
            (4, 4); ``affine @ (z, y, x, 1)`` is the LPS position of voxel ``[z, y, x]``.

        Raises
        ------
        GeometryError
            If the matrix is not finite or not invertible.
        """
        matrix = np.asarray(affine, dtype=np.float64)
        spacing = np.linalg.norm(matrix[:3, :3], axis=0)
        if not (np.isfinite(matrix).all() and (spacing > 0).all()):
            raise GeometryError("the grid's affine matrix is not finite or not invertible")
        direction = (matrix[:3, :3] / spacing).T
        return cls(
            spacing=_vector(spacing),
            origin=_vector(matrix[:3, 3]),
            direction=(_vector(direction[0]), _vector(direction[1]), _vector(direction[2])),
            frame_of_reference=frame_of_reference,
            unit=unit,
        )

    @classmethod
    def pixels(cls) -> Geometry:
        """Return the grid of an image that carries no size: unit spacing, unit ``"px"``."""
        return cls(unit="px")

    @property
    def affine(self) -> NDArray[np.float64]:
        """(4, 4) matrix from array indices ``(z, y, x, 1)`` to LPS."""
        matrix = np.eye(4)
        matrix[:3, :3] = np.array(self.direction).T * np.array(self.spacing)
        matrix[:3, 3] = self.origin
        return matrix

    @property
    def is_sheared(self) -> bool:
        """Whether two axes are not perpendicular (as with a tilted gantry)."""
        axes = np.array(self.direction)
        off_diagonal = axes @ axes.T - np.eye(3)
        return bool(np.abs(off_diagonal).max() > ORTHOGONALITY_TOLERANCE)

    @property
    def is_oblique(self) -> bool:
        """Whether an axis deviates from the patient's axes by more than a tenth of a degree."""
        return bool((np.abs(np.array(self.direction)).max(axis=1) < np.cos(np.radians(0.1))).any())

    @property
    def slice_axis(self) -> int:
        """Array axis to step through: the thickest; the axial one where all are equal."""
        spacing = np.array(self.spacing)
        thickest = np.flatnonzero(spacing >= spacing.max() * (1 - EQUAL_SPACING_TOLERANCE))
        if len(thickest) == 1:
            return int(thickest[0])
        superior = np.abs(np.array(self.direction)[thickest, 2])
        return int(thickest[int(superior.argmax())])

    def corners(self, shape: Sequence[int]) -> NDArray[np.float64]:
        """Return the LPS centres of the eight corner voxels, (8, 3), in array order."""
        ends = [(0, n - 1) for n in shape[:3]]
        indices = np.array([(*corner, 1) for corner in itertools.product(*ends)], dtype=float)
        return np.asarray((self.affine @ indices.T).T[:, :3])

    def corner_distance(self, other: Geometry, shape: Sequence[int]) -> float:
        """Return the largest distance between corresponding corners of two grids of one shape."""
        offsets = self.corners(shape) - other.corners(shape)
        return float(np.linalg.norm(offsets, axis=1).max())

    def coincides(
        self, other: Geometry, shape: Sequence[int], tolerance: float = CORNER_TOLERANCE_MM
    ) -> bool:
        """Whether all eight corners of two grids of one `shape` agree within `tolerance`."""
        return self.corner_distance(other, shape) <= tolerance

    def transposed(self, axes: Sequence[int]) -> Geometry:
        """Return the grid of ``array.transpose(axes)``: voxels stay where they were."""
        return replace(
            self,
            spacing=_vector(np.array([self.spacing[a] for a in axes])),
            direction=(
                self.direction[axes[0]],
                self.direction[axes[1]],
                self.direction[axes[2]],
            ),
        )

    def flipped(self, axis: int, shape: Sequence[int]) -> Geometry:
        """Return the grid of ``np.flip(array, axis)``: voxels stay where they were."""
        step = np.array(self.direction[axis]) * self.spacing[axis]
        direction = list(self.direction)
        direction[axis] = _vector(-np.array(direction[axis]))
        return replace(
            self,
            origin=_vector(np.array(self.origin) + step * (shape[axis] - 1)),
            direction=(direction[0], direction[1], direction[2]),
        )


def _vector(values: NDArray[np.floating]) -> Vector:
    first, second, third = (float(v) for v in values)
    return (first, second, third)
