"""A scan in memory: voxels, where they lie, and what was remarked on opening it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from napari_crii.errors import GeometryError
from napari_crii.geometry import Geometry

_SAMPLE_LIMIT = 1_000_000
# How a remark begins that says so.
ORIENTATION_UNKNOWN = "orientation unknown"


@dataclass(frozen=True)
class IntensityStats:
    """Robust intensity statistics, one number for all channels.

    Attributes
    ----------
    low, high
        Percentiles 0.5 and 99.5.
    mean, std
        Of the values clipped to ``[low, high]``.
    """

    low: float
    high: float
    mean: float
    std: float

    @classmethod
    def of(cls, values: NDArray[np.generic]) -> IntensityStats:
        """Measure an array of any shape; very large ones through an even subsample."""
        flat = np.asarray(values).reshape(-1)
        sample = flat[:: max(1, flat.size // _SAMPLE_LIMIT)].astype(np.float32)
        low, high = (float(v) for v in np.percentile(sample, (0.5, 99.5)))
        clipped = np.clip(sample, low, high)
        return cls(low, high, float(clipped.mean()), float(clipped.std()))


@dataclass(frozen=True, eq=False)
class Volume:
    """One scan: a 3-D grid of grey values, or of colours.

    Attributes
    ----------
    array
        (Z, Y, X), or (Z, Y, X, 3) for RGB; a 2-D image is a single slice. Never changed.
    geometry
        Where the grid lies.
    name
        A short name for display, taken from the file.
    remarks
        What was found and mended on opening, one sentence each.
    """

    array: NDArray[np.generic]
    geometry: Geometry = field(default_factory=Geometry)
    name: str = "scan"
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse arrays that are no scan."""
        grey, rgb = self.array.ndim == 3, self.array.ndim == 4 and self.array.shape[3] == 3
        if not (grey or rgb) or 0 in self.array.shape:
            raise GeometryError(
                f"an array of shape {self.array.shape} is no scan: expected (z, y, x) or RGB"
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along ``(z, y, x)``."""
        z, y, x = self.array.shape[:3]
        return (z, y, x)

    @property
    def channels(self) -> int:
        """1 for grey values, 3 for RGB."""
        return 1 if self.array.ndim == 3 else 3

    @property
    def is_image(self) -> bool:
        """Whether this is a single 2-D image without known size (PNG and the like)."""
        return self.geometry.unit == "px"

    @property
    def slice_axis(self) -> int:
        """Array axis that is stepped through slice by slice."""
        return 0 if self.is_image else self.geometry.slice_axis

    @property
    def slice_count(self) -> int:
        """Number of slices along `slice_axis`."""
        return self.shape[self.slice_axis]

    @property
    def has_orientation(self) -> bool:
        """Whether it is known how the scan lies in the patient."""
        unknown = any(remark.startswith(ORIENTATION_UNKNOWN) for remark in self.remarks)
        return not self.is_image and not unknown

    @property
    def slice_geometry(self) -> Geometry:
        """The grid of `slices`: the slice axis first."""
        return self.geometry.transposed(_slices_first(self.slice_axis))

    @property
    def slice_spacing(self) -> tuple[float, float, float]:
        """Spacing as (between slices, rows, columns)."""
        return self.slice_geometry.spacing

    @property
    def pixel_spacing(self) -> tuple[float, float] | None:
        """Size of a pixel on a slice, (row, column) in mm; None where the file says nothing."""
        return None if self.is_image else self.slice_spacing[1:]

    def slices(self) -> NDArray[np.generic]:
        """Return a view of the array with the slice axis first: (S, H, W) or (S, H, W, 3)."""
        return to_slices(self.array, self.slice_axis)

    @cached_property
    def intensity(self) -> IntensityStats:
        """Intensity statistics of the whole scan."""
        return IntensityStats.of(self.array)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of voxels, type, shape and geometry, in hexadecimal."""
        sha = hashlib.sha256(f"{self.array.dtype.str}{self.array.shape}{self.geometry}".encode())
        sha.update(np.ascontiguousarray(self.array).data)
        return sha.hexdigest()


def neighbourhood(volume: Volume, index: int, neighbours: int) -> NDArray[np.generic]:
    """Return slice `index` with its neighbours as channels, (C, H, W), values as stored.

    The outermost slice repeats where there is no neighbour.
    """
    slices = volume.slices()
    around = range(index - neighbours, index + neighbours + 1)
    picked = [slices[min(max(i, 0), len(slices) - 1)] for i in around]
    if volume.channels == 1:
        return np.stack(picked)
    return np.concatenate([np.moveaxis(p, -1, 0) for p in picked])


def to_slices(array: NDArray[np.generic], slice_axis: int) -> NDArray[np.generic]:
    """View an array in scan order with the slice axis first."""
    return np.moveaxis(array, slice_axis, 0)


def from_slices(array: NDArray[np.generic], slice_axis: int) -> NDArray[np.generic]:
    """View an array with the slice axis first in scan order: the inverse of `to_slices`."""
    return np.moveaxis(array, 0, slice_axis)


def _slices_first(slice_axis: int) -> tuple[int, ...]:
    return (slice_axis, *(a for a in range(3) if a != slice_axis))
