"""How long a real window's event loop is kept waiting: the part that needs Qt and napari."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import napari
import numpy as np
import qtpy
from napari.viewer import Viewer
from numpy.typing import NDArray
from qtpy.QtCore import QCoreApplication, QEventLoop, Qt, QTimer

from napari_crii._layers import image_layer
from napari_crii.demo import DemoTask
from napari_crii.engine.client import ENGINE, TRAINER
from napari_crii.errors import CriiError
from napari_crii.widgets.app import open_assistant
from napari_crii.widgets.assistant import CriiAssistant
from napari_crii.widgets.learning import LearningPlan

_TURN_MS = 5
_SCROLL_MS = 50
_SCROLL_STEPS = 100
_WARM_UP_STEPS = 20
_SETTLING_SECONDS = 1.0
_LIMIT_SECONDS = 900.0
_CLOSING_SECONDS = 15.0

Act = Callable[[], None]
Done = Callable[[], bool]
# (N, 2): seconds that passed between two turns, and seconds that this thread computed.
Gaps = NDArray[np.float64]


@dataclass(frozen=True)
class Phase:
    """How the event loop did for a while.

    Attributes
    ----------
    longest_ms, p99_ms
        Of the gaps between turns; a turn is due every 5 ms.
    longest_cpu_ms
        The most that the window's own thread computed between two turns: where it is far below
        `longest_ms`, other threads and processes held the processor.
    turns
        How many there were.
    """

    longest_ms: float
    p99_ms: float
    longest_cpu_ms: float
    turns: int
    seconds: float

    @classmethod
    def of(cls, gaps: Gaps) -> Phase:
        """Summarise gaps (N, 2) in seconds."""
        waited, computed = gaps.T * 1000
        return cls(
            longest_ms=_rounded(waited.max()),
            p99_ms=_rounded(np.percentile(waited, 99)),
            longest_cpu_ms=_rounded(computed.max()),
            turns=len(gaps),
            seconds=_rounded(waited.sum() / 1000),
        )


def _rounded(value: Any) -> float:
    return round(float(value), 2)


def window_latency(task: DemoTask, iterations: int = 0, scrolling: bool = False) -> dict[str, Any]:
    """Open a window, propose a whole scan, accept a slice, learn, and close everything.

    Parameters
    ----------
    iterations
        Steps of the fine-tuning tick; 0 takes the tick's own.
    scrolling
        Scroll through the slices all the while, as in the bare phase.

    Returns
    -------
    dict
        ``event_loop_gap_ms``, the longest gap while proposing and learning, and
        ``event_loop_p99_ms``; each of the ``phases``: bare napari while it scrolls, the assistant
        docked and the scan opened in it, proposing, learning with the refresh after it.

    Raises
    ------
    CriiError
        If the assistant reports a problem, or does not come to an end.
    """
    viewer = napari.Viewer(title="napari-crii benchmark")
    docked: list[CriiAssistant] = []
    try:
        bare = _measure_bare(viewer, task)
        opening = _gaps(lambda: docked.append(_open(viewer, task)), _opened(docked))
        with _scrolled(viewer, task.volume.slice_count if scrolling else 0):
            proposing = _propose(docked[0])
            learning = _learn(viewer, docked[0], task, iterations)
    finally:
        for assistant in docked:
            assistant.shut_down()
        # Before the window goes: a child's last word must not reach objects that are gone.
        _wait_for_children()
        viewer.close()
        QCoreApplication.processEvents()
    both = Phase.of(np.concatenate([proposing, learning]))
    phases = {"bare": bare, "opening": opening, "proposing": proposing, "learning": learning}
    return {
        "event_loop_gap_ms": both.longest_ms,
        "event_loop_p99_ms": both.p99_ms,
        "gap_over_bare": round(both.longest_ms / Phase.of(bare).longest_ms, 3),
        "phases": {name: asdict(Phase.of(gaps)) for name, gaps in phases.items()},
        "scrolling": scrolling,
        "qt": f"{qtpy.API_NAME} {qtpy.QT_VERSION}",
    }


def _measure_bare(viewer: Viewer, task: DemoTask) -> Gaps:
    """Scroll through the scan in bare napari; its first paints are not counted."""
    data, arguments, _ = image_layer(task.volume)
    viewer.add_image(data, **arguments)
    count = task.volume.slice_count
    _gaps(lambda: None, _after())
    for steps in (_WARM_UP_STEPS, _SCROLL_STEPS):
        with _scrolled(viewer, count):
            gaps = _gaps(lambda: None, _after(steps * _SCROLL_MS / 1000))
    viewer.layers.clear()
    return gaps


def _open(viewer: Viewer, task: DemoTask) -> CriiAssistant:
    """Dock the assistant and open the scan in it."""
    assistant = open_assistant(viewer, task)
    assistant.begin()
    return assistant


def _opened(docked: list[CriiAssistant]) -> Done:
    """Return what is done when all of the scan's layers stand and are painted."""
    painted = _after()
    return lambda: bool(docked) and docked[0].controller.state.has_case and painted()


def _propose(assistant: CriiAssistant) -> Gaps:
    """Press "All slices" and wait until all are there."""
    controller, arrived = assistant.controller, []
    controller.proposed.connect(lambda: arrived.append(True))

    def done() -> bool:
        if controller.state.is_error:
            raise CriiError(f"the benchmark cannot go on: {controller.state.message}")
        return bool(arrived)

    return _gaps(lambda: assistant.propose(whole_volume=True), done)


def _learn(viewer: Viewer, assistant: CriiAssistant, task: DemoTask, iterations: int) -> Gaps:
    """Accept the middle slice, and wait for the tick and the proposals after it."""
    controller = assistant.controller
    controller.learns_on_accept = False

    _gaps(lambda: viewer.dims.set_current_step(0, task.volume.slice_count // 2), _after())

    def act() -> None:
        controller.accept_slice()
        controller.learn(LearningPlan(task.checkpoint, iterations))

    def done() -> bool:
        return not (
            controller.network.learning.running or controller.network.proposing.progress.running
        )

    gaps = _gaps(act, done)
    if controller.session is None or controller.session.fresh_slices():
        said = controller.network.learning.words or controller.state.message
        raise CriiError(f"the benchmark cannot go on, nothing was learnt: {said}")
    return gaps


def _after(seconds: float = _SETTLING_SECONDS) -> Done:
    """Return what is done when some time has passed since its first question."""
    asked: list[float] = []

    def done() -> bool:
        asked.append(time.perf_counter())
        del asked[1:-1]
        return asked[-1] - asked[0] >= seconds

    return done


def _gaps(act: Act, done: Done) -> Gaps:
    """Run the event loop from `act` until `done`, and return the gaps between its turns, in s.

    Raises
    ------
    CriiError
        If it takes longer than a quarter of an hour; also what `act` and `done` raise.
    """
    run = _Turns(act, done)
    timer = QTimer()
    timer.setTimerType(Qt.TimerType.PreciseTimer)
    timer.timeout.connect(run.turn)
    timer.start(_TURN_MS)
    QTimer.singleShot(0, run.begin)
    run.loop.exec()
    timer.stop()
    if run.failure is not None:
        raise run.failure
    return np.diff([*run.turns, now()], axis=0)


def now() -> tuple[float, float]:
    """Return seconds on the wall, and of this thread's computing."""
    return time.perf_counter(), time.thread_time()


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


@contextmanager
def _scrolled(viewer: Viewer, count: int) -> Iterator[None]:
    """Step through `count` slices as long as this lasts; 0 leaves the slice as it is."""
    timer = QTimer()
    timer.timeout.connect(lambda: viewer.dims.set_current_step(0, _next_slice(viewer, count)))
    if count > 1:
        timer.start(_SCROLL_MS)
    try:
        yield
    finally:
        timer.stop()


def _next_slice(viewer: Viewer, count: int) -> int:
    return int(viewer.dims.current_step[0] + 1) % count


def _wait_for_children() -> None:
    """Wait for the threads that see the children off: they kill those that stay."""
    for thread in threading.enumerate():
        if thread.name in (ENGINE, TRAINER):
            thread.join(_CLOSING_SECONDS)
