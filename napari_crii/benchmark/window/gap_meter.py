"""Gaps between turns of an event loop, counted for hours in memory that does not grow."""

from __future__ import annotations

import time

import numpy as np
from qtpy.QtCore import Qt, QTimer

from napari_crii.benchmark.window.event_loop import TURN_MS

_BIN_MS = 0.1
_BINS = 100_000


class GapMeter:
    """Counts the gaps of the running loop, in bins of a tenth of a millisecond.

    Attributes
    ----------
    longest_ms
        The longest gap; a turn is due every 5 ms.
    """

    def __init__(self) -> None:
        self._counts = np.zeros(_BINS, dtype=np.int64)
        self._last = 0.0
        self.longest_ms = 0.0
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._turn)

    @property
    def turns(self) -> int:
        """How many gaps were counted."""
        return int(self._counts.sum())

    def start(self) -> None:
        """Begin anew."""
        self._counts[:] = 0
        self.longest_ms = 0.0
        self._last = time.perf_counter()
        self._timer.start(TURN_MS)

    def stop(self) -> None:
        """Count no more."""
        self._timer.stop()

    def percentile_ms(self, percent: float) -> float:
        """Return the gap that so many percent of all do not exceed, rounded up to a bin."""
        until = np.cumsum(self._counts)
        return float((np.searchsorted(until, percent / 100 * until[-1]) + 1) * _BIN_MS)

    def _turn(self) -> None:
        now = time.perf_counter()
        gap, self._last = (now - self._last) * 1000, now
        self._counts[min(int(gap / _BIN_MS), _BINS - 1)] += 1
        self.longest_ms = max(self.longest_ms, gap)
