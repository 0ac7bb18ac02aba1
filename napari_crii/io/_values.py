"""Voxel values as the rest of the package may rely on them: native, finite, smallest type."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def native(array: Array) -> Array:
    """Return real numbers of at most 64 bits in the machine's byte order.

    Raises
    ------
    ValueError
        If the voxels are complex, structured or wider than 64 bits.
    """
    if array.dtype.kind not in "iuf" or array.dtype.itemsize > 8:
        raise ValueError(f"voxels of type {array.dtype} are not supported")
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def finite(array: Array) -> tuple[Array, tuple[str, ...]]:
    """Replace NaN and -Inf by the smallest, +Inf by the largest finite value, and tell.

    Raises
    ------
    ValueError
        If no voxel is finite.
    """
    # Extremes are NaN where a voxel is: the common case needs no mask of all voxels.
    if array.dtype.kind != "f" or np.isfinite([array.min(), array.max()]).all():
        return array, ()
    good = np.isfinite(array)
    missing = array.size - int(np.count_nonzero(good))
    if missing == 0:
        return array, ()
    if missing == array.size:
        raise ValueError("no voxel is a finite number")
    low, high = array[good].min(), array[good].max()
    mended = np.nan_to_num(array, nan=low, posinf=high, neginf=low)
    return mended, (f"{missing} voxels were NaN or infinite and took the nearest finite extreme",)


def as_labels(array: Array) -> Array:
    """Return class labels in the smallest unsigned type; {0, 255} means class 1.

    Raises
    ------
    ValueError
        If a value is negative, fractional or not finite.
    """
    low, high = array.min(), array.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError("a mask holds labels, not NaN or infinite values")
    if low < 0:
        raise ValueError(f"a mask holds labels from 0 upwards, not {low}")
    if array.dtype.kind == "f" and not np.array_equal(array, np.rint(array)):
        raise ValueError("a mask holds whole numbers, not fractions")
    if high == 255 and not np.any((array != 0) & (array != 255)):
        return np.asarray(array == 255, dtype=np.uint8)
    return array.astype(np.min_scalar_type(int(high)), copy=False)
