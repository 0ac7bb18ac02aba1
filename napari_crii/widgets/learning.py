"""The learning half of the dock: when a tick starts, what it says, what it leads to."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from qtpy.QtCore import QObject

from napari_crii.checkpoint_info import read_checkpoint_info
from napari_crii.engine.client import TrainerClient
from napari_crii.engine.messages import (
    Closed,
    Failed,
    Learn,
    LearningFinished,
    LearningStepped,
    Message,
)
from napari_crii.session import Session
from napari_crii.widgets.background import Mailbox
from napari_crii.widgets.state import Progress, seconds_in_words


@dataclass(frozen=True)
class LearningPlan:
    """From what a run starts and how long it is.

    Attributes
    ----------
    checkpoint
        The weights to start from; None starts a new network.
    iterations, learning_rate
        0 takes the tick's own.
    """

    checkpoint: Path | None
    iterations: int = 0
    learning_rate: float = 0.0


class Learning(QObject):
    """One trainer at a time.

    Parameters
    ----------
    changed
        Called when progress or words change.
    published
        Called with the new checkpoint's file.
    """

    def __init__(
        self,
        changed: Callable[[], None],
        published: Callable[[Path], None],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._changed = changed
        self._published = published
        self._trainer: TrainerClient | None = None
        self._run = 0
        self._started = 0.0
        self._mailbox = Mailbox(self._on_message, self)
        self.progress = Progress()
        self.words = ""

    @property
    def running(self) -> bool:
        """Whether a trainer is at work."""
        return self._trainer is not None

    def start(self, session: Session, plan: LearningPlan, folder: Path) -> None:
        """Learn from what humans said so far, in a child process of lowest priority."""
        snapshot = session.snapshot(neighbours_of(plan.checkpoint))
        self._learned = session.mark_learned
        self._run += 1
        run, post = self._run, self._mailbox.post
        self._trainer = TrainerClient(lambda message: post((run, message)))
        request = Learn(
            snapshot=str(folder / f"{uuid.uuid4().hex}.npz"),
            checkpoint="" if plan.checkpoint is None else str(plan.checkpoint),
            folder=str(folder),
            iterations=plan.iterations,
            learning_rate=plan.learning_rate,
            classes=tuple(c.name for c in session.classes),
            channels=next(iter(session.cases.values())).volume.channels,
        )
        self._trainer.learn(snapshot, folder, request)
        self._started = time.monotonic()
        self._slices = len(snapshot.slices)
        self.progress = Progress(0, 1)
        self.words = f"Learning from {self._count()}: starting."
        self._changed()

    def stop(self) -> None:
        """Discard what is being learnt."""
        if self._trainer is not None:
            self._trainer.stop()
            self.words = "Stopping."
            self._changed()

    def close(self) -> None:
        """End the trainer, whatever it is doing, and learn no more."""
        self._mailbox.close()
        if self._trainer is not None:
            self._trainer.close()
            self._trainer = None
        self._run += 1

    def _count(self) -> str:
        return f"{self._slices} corrected slice{'s' if self._slices != 1 else ''}"

    def _on_message(self, arrived: tuple[int, Message]) -> None:
        run, message = arrived
        if run != self._run:
            return
        match message:
            case LearningStepped(step, total, _):
                self._step(step, total)
            case LearningFinished():
                self._finish(message)
            case Failed(text):
                self._end(f"Learning failed: {text}.")
            case Closed() if self._trainer is not None:
                self._end("Learning ended unexpectedly; the network is as it was.")
        self._changed()

    def _step(self, step: int, total: int) -> None:
        if step == 1:
            self._started = time.monotonic()
        self.progress = Progress(step, total)
        left = (time.monotonic() - self._started) / max(1, step - 1) * (total - step)
        when = f", {seconds_in_words(left)}" if step > 1 else ""
        self.words = f"Learning from {self._count()}{when}."

    def _finish(self, message: LearningFinished) -> None:
        if not message.checkpoint:
            kept = "The network is as it was."
            said = "Learning was stopped." if message.reason == "stopped" else message.message
            self._end(f"{said} {kept}".strip())
            return
        self._learned()
        self._end(f"Learnt from {self._count()}. {message.message}")
        self._published(Path(message.checkpoint))

    def _end(self, words: str) -> None:
        if self._trainer is not None:
            self._trainer.close()
            self._trainer = None
        self.progress = Progress()
        self.words = words


def neighbours_of(checkpoint: Path | None) -> int:
    """Return how many slices on either side a checkpoint's network reads.

    Raises
    ------
    CheckpointError
        If the file is no checkpoint.
    """
    if checkpoint is None:
        return 0
    return int(read_checkpoint_info(checkpoint).preprocessing.get("neighbours", 0))
