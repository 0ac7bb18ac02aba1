"""Which slices a human had on display, and for how long: told to the case now and then."""

from __future__ import annotations

import time
from collections.abc import Callable

from qtpy.QtCore import QObject, QTimer

from napari_crii.session import Case

REPORT_MS = 5000
# A slice that is only scrolled through was not looked at.
LEAST_SECONDS = 1.0
# Who neither moves on nor corrects anything for so long has left.
IDLE_SECONDS = 120.0


class Looks:
    """Time on display by slice, since it was last taken.

    Parameters
    ----------
    now
        A clock in seconds that never jumps.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._sign: object = None
        self._shown: int | None = None
        self._counted = self._moved = now()
        self._seconds: dict[int, float] = {}

    def show(self, index: int | None, sign: object = None) -> None:
        """Count up to now; from here on slice `index` is on display, or none.

        A `sign` that differs from the one before tells that the human is still there.
        """
        self._count()
        if (index, sign) != (self._shown, self._sign):
            self._moved = self._counted
        self._shown, self._sign = index, sign

    def take(self) -> tuple[tuple[int, ...], float]:
        """Return the slices that were looked at and the seconds, which then count no more.

        A slice that was on display for less than a second waits for the rest of it.
        """
        self._count()
        looked = {i: s for i, s in self._seconds.items() if s >= LEAST_SECONDS}
        self._seconds = {i: s for i, s in self._seconds.items() if i == self._shown and s}
        for index in looked:
            self._seconds.pop(index, None)
        return tuple(sorted(looked)), sum(looked.values())

    def _count(self) -> None:
        end = min(self._now(), self._moved + IDLE_SECONDS)
        if self._shown is not None and end > self._counted:
            spent = end - self._counted
            self._seconds[self._shown] = self._seconds.get(self._shown, 0.0) + spent
        self._counted = self._now()


class Looking(QObject):
    """Tells a case every few seconds what of it was looked at."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._looks = Looks()
        self._case: Case | None = None
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.report)
        self._timer.start(REPORT_MS)

    def at(self, case: Case | None, index: int | None) -> None:
        """From now on this slice of this case is on display."""
        if case is not self._case:
            self._looks.show(None)
            self.report()
            self._case = case
        self._looks.show(index, None if case is None else case.work.next_number)

    def report(self) -> None:
        """Tell the case what was looked at since the last time."""
        slices, seconds = self._looks.take()
        if self._case is not None and slices:
            self._case.look(slices, round(seconds, 1))

    def close(self) -> None:
        """Report for the last time."""
        self._looks.show(None)
        self.report()
        self._case = None
