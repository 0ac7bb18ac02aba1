"""The window of F10: everything at once, and what it takes, sampled."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import napari
import numpy as np
import psutil
from numpy.typing import NDArray
from qtpy.QtCore import QCoreApplication, QEventLoop, QTimer

from napari_crii.benchmark.window.event_loop import turns
from napari_crii.benchmark.window.gap_meter import GapMeter
from napari_crii.benchmark.window.hand import Hand
from napari_crii.benchmark.window.rounds import children_of_window, trainer_process
from napari_crii.checkpoint_info import read_checkpoint_info
from napari_crii.demo import DemoTask, scan_task, shipped_checkpoint
from napari_crii.errors import CriiError
from napari_crii.phantom import make_phantom
from napari_crii.widgets.app import open_assistant
from napari_crii.widgets.assistant import CriiAssistant
from napari_crii.widgets.learning import LearningPlan
from napari_crii.widgets.learning_words import LearningMode
from napari_crii.widgets.wish import Wish
from tests.faults.f10 import FIGURES, PROCESSES, Soaked

_LOOK_MS = 100
_END_SECONDS = 30.0
_FEWEST_TICKS = 2


@dataclass(frozen=True)
class Scene:
    """What is worked on.

    Attributes
    ----------
    steps
        Of a tick; 0: as many as in use.
    enough
        Samples after which, with two ticks, the work ends before its time; 0: it never does.
    """

    task: DemoTask
    steps: int = 0
    enough: int = 0

    @classmethod
    def usual(cls, scan: Path | None) -> Scene:
        if scan is not None:
            return cls(scan_task(scan))
        weights = shipped_checkpoint()
        return cls(DemoTask(make_phantom()[0], read_checkpoint_info(weights).classes, weights))

    @classmethod
    def small(cls, folder: Path) -> Scene:
        # In a process of its own: torch stays out of the window's.
        from napari_crii.benchmark._partner import Partner

        weights = folder / "small.safetensors"
        partner = Partner(_make_saver)
        partner.ask(weights)
        partner.close()
        volume = make_phantom((12, 40, 50))[0]
        return cls(DemoTask(volume, read_checkpoint_info(weights).classes, weights), 8, 30)


def _make_saver():
    from napari_crii.checkpoint import save_checkpoint
    from tests.factories import small_checkpoint

    return lambda path: save_checkpoint(path, small_checkpoint())


def soak(scene: Scene, folder: Path, seconds: float, every: float) -> Soaked:
    """Work for so many seconds in a window with a project in `folder`, then close everything."""
    viewer = napari.Viewer(title="napari-crii F10")
    assistant = open_assistant(viewer, scene.task)
    try:
        _open(assistant, folder / "project", scene.task)
        work = Work(viewer, assistant, scene)
        loop = QEventLoop()
        samples = Samples(work, folder, every, scene.enough or int(seconds / every) + 1, loop.quit)
        work.start()
        samples.start()
        QTimer.singleShot(round(seconds * 1000), loop.quit)
        loop.exec()
        samples.stop()
        work.stop()
    finally:
        children = dict(children_of_window())
        assistant.shut_down()
        turns(0.5)
        viewer.close()
        QCoreApplication.processEvents()
    return samples.soaked(work, _left_behind(children))


def _open(assistant: CriiAssistant, folder: Path, task: DemoTask) -> None:
    controller = assistant.controller
    controller.network.mode = LearningMode.MANUAL
    wish = Wish(folder, "soak", task.classes)
    controller.sitting.open(wish, controller.use_project)
    turns(done=lambda: not controller.sitting.busy)
    assistant.begin()
    turns(1.0, lambda: controller.state.has_case)


class Work:
    """Keeps a hand, the engine and the trainer at it."""

    def __init__(self, viewer: napari.Viewer, assistant: CriiAssistant, scene: Scene) -> None:
        self._viewer, self._assistant, self._scene = viewer, assistant, scene
        self.controller = assistant.controller
        count = scene.task.volume.slice_count
        drawn = (count // 3, 2 * count // 3)
        self.hand = Hand(viewer, self.controller.binding.human, drawn, np.random.default_rng(0))
        self.done = {"proposals": 0, "ticks": 0}
        self.errors: list[str] = []
        self._learning = False
        self._look = QTimer()
        self._look.timeout.connect(self._on_look)

    @property
    def complete(self) -> bool:
        """Whether all goes on at once: strokes, proposals, steps of the trainer."""
        network = self.controller.network
        stepping = network.learning.running and network.learning.progress.done >= 1
        return stepping and network.proposing.progress.running and not self.hand.idle

    def start(self) -> None:
        self.controller.proposed.connect(self._on_proposed)
        self._assistant.propose(whole_volume=True)
        self.hand.start()
        self._look.start(_LOOK_MS)

    def stop(self) -> None:
        """Let the hand finish, and let go."""
        self._look.stop()
        self.controller.proposed.disconnect(self._on_proposed)
        self.hand.rest()
        turns(done=lambda: self.hand.idle)
        self.hand.close()
        self.done["strokes"] = self.hand.strokes

    def _on_proposed(self) -> None:
        self.done["proposals"] += 1
        self._assistant.propose(whole_volume=True)

    def _on_look(self) -> None:
        """Note a problem; accept and learn where a tick has ended, once the hand rests."""
        state, learning = self.controller.state, self.controller.network.learning
        if state.is_error and state.message not in self.errors:
            self.errors.append(state.message)
        if learning.running:
            self._learning = True
            return
        if self._learning:
            self._learning = False
            self.done["ticks"] += not learning.words.startswith("Learning")
            if not learning.words.startswith("Learnt"):
                self.errors.append(learning.words)
        if not self.hand.idle:
            self.hand.rest()
            return
        self._viewer.dims.set_current_step(0, self.hand.slices[self.done["ticks"] % 2])
        self.controller.accept_slice()
        self.controller.learn(self._plan())
        self.hand.start()

    def _plan(self) -> LearningPlan | None:
        """From the weights that were learnt last, as in use; or a few steps."""
        if not self._scene.steps:
            return None
        return LearningPlan(self._scene.task.checkpoint, self._scene.steps)


class Samples:
    """Writes down memory, threads and descriptors; its own memory does not grow.

    Parameters
    ----------
    every
        Seconds between two samples.
    most
        How many are taken; then, once some ticks have ended, `full` is called.
    """

    def __init__(
        self, work: Work, folder: Path, every: float, most: int, full: Callable[[], object]
    ) -> None:
        self._work = work
        self._every = every
        self._folders = (folder, work.controller.network.proposing.folder)
        self._full = full
        self._seconds = np.zeros(most)
        self._samples = np.zeros((most, len(PROCESSES), len(FIGURES)))
        self._count = 0
        self._started = self._due = 0.0
        self._disk = self._grown = 0.0
        self._gaps = GapMeter()
        self._window = psutil.Process()
        self._timer = QTimer()
        self._timer.timeout.connect(self._on_time)

    def start(self) -> None:
        self._started = self._due = time.monotonic()
        self._disk = self._on_disk()
        self._gaps.start()
        self._timer.start(_LOOK_MS // 2)

    def stop(self) -> None:
        self._timer.stop()
        self._gaps.stop()

    def soaked(self, work: Work, left: list[str]) -> Soaked:
        filled = slice(0, self._count)
        return Soaked(
            self._seconds[filled] / 3600,
            self._samples[filled],
            self._gaps.percentile_ms(99),
            self._gaps.longest_ms,
            {**work.done, "samples": self._count},
            work.errors + left,
            self._grown,
        )

    def _on_time(self) -> None:
        """Take a sample when one is due and everything is going on."""
        now = time.monotonic()
        if self._count == len(self._seconds):
            if self._work.done["ticks"] >= _FEWEST_TICKS:
                self._full()
        elif now >= self._due and self._work.complete:
            self._take(now)

    def _take(self, now: float) -> None:
        with suppress(psutil.Error, CriiError):
            engine = psutil.Process(self._work.controller.network.proposing.pid)
            found = [self._window, engine, trainer_process()]
            self._samples[self._count] = [_figures(process) for process in found]
            self._seconds[self._count] = now - self._started
            self._count += 1
            self._due = now + self._every
        self._grown = self._on_disk() - self._disk
        for latencies in self._work.hand.latencies.values():
            latencies.clear()

    def _on_disk(self) -> float:
        files = (path for folder in self._folders for path in folder.rglob("*"))
        sizes = []
        for path in files:
            with suppress(OSError):
                sizes.append(path.stat().st_size)
        return sum(sizes) / 1e6


def _figures(process: psutil.Process) -> NDArray[np.float64]:
    with process.oneshot():
        counts = process.num_threads(), process.num_fds(), process.pid
        return np.array([process.memory_info().rss / 1e6, *counts])


def _left_behind(children: dict[psutil.Process, str]) -> list[str]:
    """Say which children are still there, some time after everything was closed."""
    _, alive = psutil.wait_procs(list(children), _END_SECONDS)
    return [f"a child is left behind: {children[child]}" for child in alive]
