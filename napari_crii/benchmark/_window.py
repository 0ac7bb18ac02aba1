"""How long a real window's event loop is kept waiting: the part that needs Qt and napari."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import napari
import numpy as np
from napari.viewer import Viewer
from qtpy.QtCore import QCoreApplication, QTimer

from napari_crii._layers import image_layer
from napari_crii.benchmark._event_loop import Done, Gaps, after, gaps_until, qt_in_use
from napari_crii.demo import DemoTask
from napari_crii.engine.client import ENGINE, TRAINER
from napari_crii.errors import CriiError
from napari_crii.widgets.app import open_assistant
from napari_crii.widgets.assistant import CriiAssistant
from napari_crii.widgets.learning import LearningPlan
from napari_crii.widgets.learning_words import LearningMode

_SCROLL_MS = 50
_SCROLL_STEPS = 100
_WARM_UP_STEPS = 20
_CLOSING_SECONDS = 15.0


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
        opening = gaps_until(lambda: docked.append(_open(viewer, task)), _opened(docked))
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
        "qt": qt_in_use(),
    }


def _measure_bare(viewer: Viewer, task: DemoTask) -> Gaps:
    """Scroll through the scan in bare napari; its first paints are not counted."""
    data, arguments, _ = image_layer(task.volume)
    viewer.add_image(data, **arguments)
    count = task.volume.slice_count
    gaps_until(lambda: None, after())
    for steps in (_WARM_UP_STEPS, _SCROLL_STEPS):
        with _scrolled(viewer, count):
            gaps = gaps_until(lambda: None, after(steps * _SCROLL_MS / 1000))
    viewer.layers.clear()
    return gaps


def _open(viewer: Viewer, task: DemoTask) -> CriiAssistant:
    """Dock the assistant and open the scan in it."""
    assistant = open_assistant(viewer, task)
    assistant.begin()
    return assistant


def _opened(docked: list[CriiAssistant]) -> Done:
    """Return what is done when all of the scan's layers stand and are painted."""
    painted = after()
    return lambda: bool(docked) and docked[0].controller.state.has_case and painted()


def _propose(assistant: CriiAssistant) -> Gaps:
    """Press "All slices" and wait until all are there."""
    controller, arrived = assistant.controller, []
    controller.proposed.connect(lambda: arrived.append(True))

    def done() -> bool:
        if controller.state.is_error:
            raise CriiError(f"the benchmark cannot go on: {controller.state.message}")
        return bool(arrived)

    return gaps_until(lambda: assistant.propose(whole_volume=True), done)


def _learn(viewer: Viewer, assistant: CriiAssistant, task: DemoTask, iterations: int) -> Gaps:
    """Accept the middle slice, and wait for the tick and the proposals after it."""
    controller = assistant.controller
    controller.network.mode = LearningMode.MANUAL

    gaps_until(lambda: viewer.dims.set_current_step(0, task.volume.slice_count // 2), after())

    def act() -> None:
        controller.accept_slice()
        controller.learn(LearningPlan(task.checkpoint, iterations))

    def done() -> bool:
        return not (
            controller.network.learning.running or controller.network.proposing.progress.running
        )

    gaps = gaps_until(act, done)
    if controller.session is None or controller.session.fresh_slices():
        said = controller.network.learning.words or controller.state.message
        raise CriiError(f"the benchmark cannot go on, nothing was learnt: {said}")
    return gaps


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
