"""Rectangles on a slice, and the patches that a clinician is taken through."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain

import numpy as np
from numpy.typing import NDArray

# What a patch counts beside one that is next to it and comes before it.
NEIGHBOURS_SHARE = 0.7


class Reason(StrEnum):
    """Why a patch deserves a look."""

    BOUNDARY = "boundary"
    LOW_CONTRAST = "low contrast"
    REGION = "region"


@dataclass(frozen=True, order=True)
class Box:
    """Half-open pixel rectangle on a slice: rows ``top:bottom``, columns ``left:right``."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of the box in an array whose last two axes are rows and columns."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def center(self) -> tuple[float, float]:
        """Row and column of the middle, in pixels."""
        return (self.top + self.bottom - 1) / 2, (self.left + self.right - 1) / 2

    @property
    def size(self) -> int:
        """Number of pixels."""
        return (self.bottom - self.top) * (self.right - self.left)

    def overlaps(self, other: Box) -> bool:
        """Whether the two boxes share a pixel."""
        return (
            self.top < other.bottom
            and other.top < self.bottom
            and self.left < other.right
            and other.left < self.right
        )

    def touches(self, other: Box) -> bool:
        """Whether the two boxes overlap, or meet at a side or a corner."""
        grown = Box(self.top - 1, self.left - 1, self.bottom + 1, self.right + 1)
        return grown.overlaps(other)


@dataclass(frozen=True)
class Patch:
    """A place to look at: slice, box, how likely it is wrong, and why.

    Attributes
    ----------
    slice
        Index along the scan's slice axis.
    box
        Rectangle on that slice.
    score
        Mean expected error over the box, 0 to 1; a ranking, not a probability.
    reason
        The kind of doubt that prevails there.
    """

    slice: int
    box: Box
    score: float
    reason: Reason

    def is_beside(self, other: Patch) -> bool:
        """Whether they touch or overlap, on one slice or on two next to each other."""
        return abs(self.slice - other.slice) <= 1 and self.box.touches(other.box)


def order_patches(patches: Iterable[Patch]) -> list[Patch]:
    """Order the patches of a scan: doubtful regions first, thin rims last, worst first in each.

    A patch counts less the more of its neighbourhood comes before it (`NEIGHBOURS_SHARE`), so that
    an object in doubt from slice to slice does not hide all other places behind it.
    """
    found: dict[tuple[bool, int], list[tuple[Patch, int]]] = {}
    counted: list[tuple[bool, float, int]] = []
    worst_first = sorted(patches, key=lambda p: -p.score)
    for place, patch in enumerate(worst_first):
        rim = patch.reason is Reason.BOUNDARY
        beside = (found.get((rim, patch.slice + by), ()) for by in (-1, 0, 1))
        depths = (depth for other, depth in chain(*beside) if patch.is_beside(other))
        depth = 1 + max(depths, default=-1)
        found.setdefault((rim, patch.slice), []).append((patch, depth))
        counted.append((rim, -patch.score * NEIGHBOURS_SHARE**depth, place))
    return [worst_first[place] for *_, place in sorted(counted)]


def box_around(row: int, column: int, size: int, shape: tuple[int, int]) -> Box:
    """Return a square of side `size` centred as well as the slice of `shape` allows."""
    top = max(0, min(row - size // 2, shape[0] - size))
    left = max(0, min(column - size // 2, shape[1] - size))
    return Box(top, left, min(top + size, shape[0]), min(left + size, shape[1]))


def bounding_box(changed: NDArray[np.bool_]) -> Box | None:
    """Return the smallest box that holds every True of (H, W); None: there is none."""
    rows = np.flatnonzero(changed.any(axis=1))
    if not rows.size:
        return None
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    columns = np.flatnonzero(changed[top:bottom].any(axis=0))
    return Box(top, int(columns[0]), bottom, int(columns[-1]) + 1)


def tiles(shape: tuple[int, int], size: int, stride: int) -> Iterator[Box]:
    """Cover a slice of `shape` with boxes of side `size`; the last ones are moved inside."""
    for top in _starts(shape[0], size, stride):
        for left in _starts(shape[1], size, stride):
            yield Box(top, left, min(top + size, shape[0]), min(left + size, shape[1]))


def _starts(length: int, size: int, stride: int) -> list[int]:
    if length <= size:
        return [0]
    starts = list(range(0, length - size, stride))
    return [*starts, length - size]
