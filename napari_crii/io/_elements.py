"""Values of DICOM elements, which may be absent, empty or malformed."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.tag import BaseTag, Tag


def value(data: pydicom.Dataset, keyword: str, default: Any) -> Any:
    """Return an element's value; `default` where it is absent or empty.

    Raises
    ------
    ValueError
        If the bytes of the element are no value of its type.
    """
    tag = _tag(keyword)
    try:
        # Most elements asked for are absent, and looking up their names is what takes the time.
        found = data[tag].value if tag in data else None
    # Values are converted when first asked for, and hostile bytes end in any exception.
    except Exception as error:
        raise ValueError(f"{keyword} holds no value of its type") from error
    return default if found is None or found == "" else found


def number(data: pydicom.Dataset, keyword: str, default: float) -> float:
    """Return an element's one number; `default` where it is absent or empty.

    Raises
    ------
    ValueError
        If it is no number, or several.
    """
    found = value(data, keyword, default)
    try:
        return float(found)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{keyword} must hold one number") from error


def whole(data: pydicom.Dataset, keyword: str, default: int) -> int:
    """Return an element's one whole number; `default` where it is absent or empty.

    Raises
    ------
    ValueError
        If it is no whole number.
    """
    found = number(data, keyword, default)
    if not found.is_integer():
        raise ValueError(f"{keyword} must hold one whole number")
    return int(found)


def flag(data: pydicom.Dataset, keyword: str) -> bool:
    """Return an element that is 0 or 1; False where it is absent or empty.

    Raises
    ------
    ValueError
        If it is anything else.
    """
    found = whole(data, keyword, 0)
    if found not in (0, 1):
        raise ValueError(f"{keyword} must be 0 or 1, not {found}")
    return bool(found)


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
    try:
        array = np.array(found, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{keyword} must hold {count} finite numbers") from error
    if array.shape != (count,) or not np.isfinite(array).all():
        raise ValueError(f"{keyword} must hold {count} finite numbers")
    return array


def thickness(data: pydicom.Dataset) -> float | None:
    """Return the distance to the next slice in mm, or None where it is not told."""
    for keyword in ("SpacingBetweenSlices", "SliceThickness"):
        found = abs(number(data, keyword, 0.0))
        if found > 0:
            return found
    return None
