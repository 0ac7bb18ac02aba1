"""Undo and redo over corrections, act by act."""

from __future__ import annotations

from collections import defaultdict

from napari_crii.session.correction import Act, Correction

Group = tuple[Correction, ...]

LIMIT_BYTES = 256 * 1024 * 1024


class History:
    """Corrections that can be taken back, and those that were.

    A `TAKE` and the act on the same slice that follows it are one group: one Ctrl+Z. So are the
    corrections of one stroke through several slices.

    Parameters
    ----------
    limit
        Bytes that the packed voxels may take; beyond it the oldest acts can no longer be undone.
    """

    def __init__(self, limit: int = LIMIT_BYTES) -> None:
        self._limit = limit
        self._settled: list[Correction] = []
        self._done: list[Group] = []
        self._undone: list[Group] = []
        self._size = 0
        # By slice the numbers of what stands: the dock asks for the last ones after every stroke.
        self._numbers: defaultdict[int, list[int]] = defaultdict(list)

    @property
    def corrections(self) -> tuple[Correction, ...]:
        """What was done and stands, oldest first."""
        standing = (correction for group in self._done for correction in group)
        return (*self._settled, *standing)

    @property
    def last(self) -> Correction | None:
        """The last correction that stands; what stood before it never changes any more."""
        if self._done:
            return self._done[-1][-1]
        return self._settled[-1] if self._settled else None

    def last_number_on(self, index: int) -> int | None:
        """Return the number of the last correction that stands on slice `index`, or None."""
        numbers = self._numbers.get(index)
        return numbers[-1] if numbers else None

    @property
    def size(self) -> int:
        """Bytes of packed voxels that undo and redo hold."""
        return self._size

    @property
    def to_undo(self) -> Group:
        """What the next undo reverts, oldest first; empty if nothing was done."""
        return self._done[-1] if self._done else ()

    @property
    def to_redo(self) -> Group:
        """What the next redo applies again, oldest first; empty if nothing was undone."""
        return self._undone[-1] if self._undone else ()

    def add(self, correction: Correction, joined: bool = False) -> None:
        """Remember a new correction; what was undone before it can no longer be redone.

        Parameters
        ----------
        correction
            What was done.
        joined
            Whether it belongs to the same act as the correction before it.
        """
        joins = bool(self._done) and (joined or _begins(self._done[-1], correction))
        group = self._done.pop() if joins else ()
        self._done.append((*group, correction))
        self._size += len(correction.change) - sum(_size(g) for g in self._undone)
        self._undone.clear()
        self._numbers[correction.slice].append(correction.number)

    def settle(self) -> None:
        """Let go of the voxels of the oldest acts until the limit is kept; the last act stays."""
        count = 0
        while self._size > self._limit and count < len(self._done) - 1:
            self._size -= _size(self._done[count])
            count += 1
        old, self._done = self._done[:count], self._done[count:]
        self._settled += [correction.without_change() for group in old for correction in group]

    def undo(self) -> Group:
        """Return the corrections to revert, oldest first; none if nothing was done."""
        if not self._done:
            return ()
        self._undone.append(self._done.pop())
        for correction in self._undone[-1]:
            self._numbers[correction.slice].pop()
        return self._undone[-1]

    def redo(self) -> Group:
        """Return the corrections to apply again, oldest first; none if nothing was undone."""
        if not self._undone:
            return ()
        self._done.append(self._undone.pop())
        for correction in self._done[-1]:
            self._numbers[correction.slice].append(correction.number)
        return self._done[-1]


def _begins(group: Group, correction: Correction) -> bool:
    """Whether `group` ends with taking the slice on which `correction` acts."""
    last = group[-1]
    return last.act is Act.TAKE and last.slice == correction.slice


def _size(group: Group) -> int:
    return sum(len(correction.change) for correction in group)
