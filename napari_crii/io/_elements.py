"""Values of DICOM elements, which may be absent, empty or malformed."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.tag import BaseTag, Tag


def value(data: pydicom.Dataset, keyword: str, default: Any) -> Any:
    """Return an element's value; `default` where it is absent or empty."""
    tag = _tag(keyword)
    # Most elements asked for are absent, and looking up their names is what takes the time.
    found = data[tag].value if tag in data else None
    return default if found is None or found == "" else found


@cache
def _tag(keyword: str) -> BaseTag:
    return Tag(keyword)


def numbers(data: pydicom.Dataset, keyword: str, count: int) -> NDArray[np.float64] | None:
    """Return an element's numbers, or None where it is absent.

    Raises
    ------
    ValueError
        If they are not `count` finite numbers.
    """
    found = value(data, keyword, None)
    if found is None:
        return None
    array = np.array(found, dtype=np.float64)
    if array.shape != (count,) or not np.isfinite(array).all():
        raise ValueError(f"{keyword} must hold {count} finite numbers")
    return array


def thickness(data: pydicom.Dataset) -> float | None:
    """Return the distance to the next slice in mm, or None where it is not told."""
    for keyword in ("SpacingBetweenSlices", "SliceThickness"):
        found = abs(float(value(data, keyword, 0.0)))
        if found > 0:
            return found
    return None
