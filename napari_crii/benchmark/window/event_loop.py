"""Two ways to run a window's event loop and see what it costs.

`gaps_until` leaves the loop to itself and notes when it turns: how long it was kept waiting.
`turns` turns it by hand between acts and sleeps where nothing is due: how long it worked. Both read
one clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
import qtpy
from numpy.typing import NDArray
from qtpy.QtCore import QCoreApplication, QEventLoop, Qt, QTimer

from napari_crii.errors import CriiError

TURN_MS = 5
_SETTLING_SECONDS = 1.0
_LIMIT_SECONDS = 900.0
_POLL_SECONDS = 0.005
_PATIENCE_SECONDS = 120.0

Act = Callable[[], object]
Done = Callable[[], bool]
# (N, 2): seconds that passed between two turns, and seconds that this thread computed.
Gaps = NDArray[np.float64]
# Seconds on the wall without waiting, and seconds that this thread computed.
Spent = tuple[float, float]


def qt_in_use() -> str:
    """Return the name of the binding and the version of Qt."""
    return f"{qtpy.API_NAME} {qtpy.QT_VERSION}"


def now() -> tuple[float, float]:
    """Return seconds on the wall, and of this thread's computing."""
    return time.perf_counter(), time.thread_time()


def after(seconds: float = _SETTLING_SECONDS) -> Done:
    """Return what is done when so many seconds have passed since its first question."""
    asked: list[float] = []

    def done() -> bool:
        asked.append(time.perf_counter())
        del asked[1:-1]
        return asked[-1] - asked[0] >= seconds

    return done


def gaps_until(act: Act, done: Done) -> Gaps:
    """Run the event loop from `act` until `done`, and return the gaps between its turns.

    Returns
    -------
    gaps
        (N, 2) seconds: on the wall, and computed by this thread.

    Raises
    ------
    CriiError
        If it takes longer than a quarter of an hour; also what `act` and `done` raise.
    """
    run = _Turns(act, done)
    timer = QTimer()
    timer.setTimerType(Qt.TimerType.PreciseTimer)
    timer.timeout.connect(run.turn)
    timer.start(TURN_MS)
    QTimer.singleShot(0, run.begin)
    run.loop.exec()
    timer.stop()
    if run.failure is not None:
        raise run.failure
    return np.diff([*run.turns, now()], axis=0)


def turns(seconds: float = 0.0, done: Done = lambda: True) -> Spent:
    """Turn the event loop for so long and until `done`; return what it took without waiting.

    Raises
    ------
    CriiError
        If that takes more than two minutes.
    """
    end = time.perf_counter() + seconds
    spent = [timed(QCoreApplication.processEvents)]
    while (at := time.perf_counter()) < end or not done():
        if at > end + _PATIENCE_SECONDS:
            raise CriiError("the benchmark cannot go on: the window does not get ready")
        time.sleep(_POLL_SECONDS)
        spent.append(timed(QCoreApplication.processEvents))
    return summed(spent)


def timed(work: Act) -> Spent:
    """Do something; return what it took."""
    started = now()
    work()
    ended = now()
    return ended[0] - started[0], ended[1] - started[1]


def summed(spent: Sequence[Spent]) -> Spent:
    """Add up what several things took."""
    return sum(wall for wall, _ in spent), sum(cpu for _, cpu in spent)


class _Turns:
    """Notes the turns of an event loop; an exception that left a slot would end the process."""

    def __init__(self, act: Act, done: Done) -> None:
        self._act, self._done = act, done
        self._acted = False
        self.loop = QEventLoop()
        self.turns = [now()]
        self.failure: Exception | None = None

    def begin(self) -> None:
        self._guarded(self._act)
        self._acted = True

    def turn(self) -> None:
        self.turns.append(now())
        self._guarded(self._look)

    def _look(self) -> None:
        if self.turns[-1][0] - self.turns[0][0] > _LIMIT_SECONDS:
            raise CriiError(f"the window was not done within {_LIMIT_SECONDS:.0f} s")
        if self._acted and self._done():
            self.loop.quit()

    def _guarded(self, step: Act) -> None:
        try:
            step()
        except Exception as error:
            self.failure = error
            self.loop.quit()
