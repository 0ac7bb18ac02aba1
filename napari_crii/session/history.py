"""Undo and redo over corrections, act by act."""

from __future__ import annotations

from napari_crii.session.correction import Act, Correction

Group = tuple[Correction, ...]


class History:
    """Corrections that can be taken back, and those that were.

    A `TAKE` and the act on the same slice that follows it are one group: one Ctrl+Z.
    """

    def __init__(self) -> None:
        self._done: list[Group] = []
        self._undone: list[Group] = []

    @property
    def corrections(self) -> tuple[Correction, ...]:
        """What was done and stands, oldest first."""
        return tuple(correction for group in self._done for correction in group)

    def add(self, correction: Correction) -> None:
        """Remember a new correction; what was undone before it can no longer be redone."""
        taken = self._done.pop() if self._done and _begins(self._done[-1], correction) else ()
        self._done.append((*taken, correction))
        self._undone.clear()

    def undo(self) -> Group:
        """Return the corrections to revert, oldest first; none if nothing was done."""
        if not self._done:
            return ()
        self._undone.append(self._done.pop())
        return self._undone[-1]

    def redo(self) -> Group:
        """Return the corrections to apply again, oldest first; none if nothing was undone."""
        if not self._undone:
            return ()
        self._done.append(self._undone.pop())
        return self._done[-1]


def _begins(group: Group, correction: Correction) -> bool:
    """Whether `group` only took the slice on which `correction` acts."""
    last = group[-1]
    return last.act is Act.TAKE and last.slice == correction.slice
