"""One run of learning as the window hears of it: how far it is, for how long yet, and where."""

from __future__ import annotations

import time

from napari_crii.engine.messages import LearningStepped
from napari_crii.widgets.curve import LearningCurve
from napari_crii.widgets.learning_words import at_work_in_words, paused_in_words, place_in_words
from napari_crii.widgets.state import Progress


class LearningRun:
    """What is known of the run at work, or of the last one.

    Parameters
    ----------
    slices
        How many are learnt from.

    Attributes
    ----------
    progress
        Steps.
    device
        Where it is computed; empty until that is known.
    remarks
        What was remarked on the way.
    stopping
        Whether it is to be discarded.
    """

    def __init__(self, slices: int = 0) -> None:
        self.slices = slices
        self.remarks: list[str] = []
        self.stopping = False
        self._waiting_since: float | None = None
        self.begin("")

    def begin(self, device: str) -> None:
        """Count from the first step on, where it is computed; what waits, waits on."""
        self.device = device
        self.progress = Progress(0, 1)
        self.curve = LearningCurve()
        self._memory_mb = 0.0
        self._started = time.monotonic()
        self._waiting_since = self._started if self.waits else None

    @property
    def waits(self) -> bool:
        """Whether the trainer was told to wait."""
        return self._waiting_since is not None

    @property
    def place(self) -> str:
        """Where it is computed, in words."""
        return place_in_words(self.device, self._memory_mb)

    def wait(self, waits: bool) -> None:
        """Hold the clock, or let it go on: time that is waited is no time that steps take."""
        if waits == self.waits:
            return
        now = time.monotonic()
        if self._waiting_since is None:
            self._waiting_since = now
        else:
            self._started += now - self._waiting_since
            self._waiting_since = None

    def step(self, stepped: LearningStepped) -> None:
        """Hear of a step."""
        if stepped.step == 1:
            self._started = time.monotonic()
            # It may be said after the trainer was told to wait.
            self._waiting_since = self._started if self.waits else None
        self._memory_mb = stepped.memory_mb
        self.curve.total = stepped.total
        self.curve.losses.append((stepped.step, stepped.loss))
        self.progress = Progress(stepped.step, stepped.total)

    def words(self, paused: bool) -> str:
        """Say how far it is."""
        done, total = self.progress.done, self.progress.total
        if paused:
            return paused_in_words(self.slices, done, total)
        return at_work_in_words(self.slices, self._seconds_left(done, total))

    def _seconds_left(self, done: int, total: int) -> float | None:
        """Return what is left at the speed so far; None before there is one."""
        if done < 2:
            return None
        now = time.monotonic() if self._waiting_since is None else self._waiting_since
        return (now - self._started) / (done - 1) * (total - done)
