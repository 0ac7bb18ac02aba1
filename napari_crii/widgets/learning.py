"""The trainer as the dock sees it: one run at a time, what it says, what it leads to."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from qtpy.QtCore import QObject, QTimer

from napari_crii.checkpoint_info import read_checkpoint_info
from napari_crii.engine.messages import (
    Closed,
    Failed,
    Learn,
    LearningChecked,
    LearningFinished,
    LearningStepped,
    Message,
    Notice,
    Ready,
)
from napari_crii.engine.protocol import mismatch
from napari_crii.engine.trainer_run import TrainerRun
from napari_crii.session import Session
from napari_crii.session.weights import PublishedWeights
from napari_crii.snapshot import LabelledSlice
from napari_crii.widgets.background import Mailbox, once
from napari_crii.widgets.curve import LearningCurve
from napari_crii.widgets.learning_run import LearningRun
from napari_crii.widgets.learning_words import outcome_in_words, verdict_in_words
from napari_crii.widgets.report_words import Remark
from napari_crii.widgets.state import Progress

# Steps are told together, and slices are: telling repaints the window, and nobody reads faster.
TOLD_MS = 500
_KEPT = 50
# The child asks between two steps, and between two check slices, whether it is to end.
_STOP_MS = 10_000


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


@dataclass(frozen=True)
class Listeners:
    """Who hears of learning, all on the window's thread.

    Attributes
    ----------
    changed
        Called when progress or words change.
    published
        Called with the new weights, whose digest is not known yet, and with what marks the slices
        as learnt, to be called when the weights are kept.
    gave_up
        Called with the session when a run ended without new weights.
    failed
        Called with one sentence.
    """

    changed: Callable[[], None]
    published: Callable[[PublishedWeights, Callable[[], None]], None]
    gave_up: Callable[[Session], None]
    failed: Callable[[str], None]


class Learning(QObject):
    """One trainer at a time."""

    def __init__(self, listeners: Listeners, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._listeners = listeners
        self._trainer: TrainerRun | None = None
        self._number = 0
        self._run = LearningRun()
        self._paused, self._proposing = False, False
        self._mailbox = Mailbox(self._on_message, self)
        self._soon = once(listeners.changed)
        self._soon.setInterval(TOLD_MS)
        self._verdict = ""
        self.words = ""
        self.remarks: list[Remark] = []

    @property
    def running(self) -> bool:
        """Whether a trainer is at work."""
        return self._trainer is not None

    @property
    def paused(self) -> bool:
        """Whether it waits until it may go on."""
        return self._paused

    @property
    def progress(self) -> Progress:
        """How far the run at work is."""
        return self._run.progress if self.running else Progress()

    @property
    def curve(self) -> LearningCurve:
        """Of the run at work, or of the last one."""
        return self._run.curve

    @property
    def run_remarks(self) -> tuple[str, ...]:
        """What was remarked in the run at work, or in the last one."""
        return tuple(self._run.remarks)

    @property
    def earlier_remarks(self) -> list[Remark]:
        """What was remarked in the runs before that."""
        return self.remarks[: len(self.remarks) - len(self._run.remarks)]

    @property
    def place(self) -> str:
        """Where the run at work, or the last one, was computed."""
        return self._run.place

    def start(
        self,
        session: Session,
        plan: LearningPlan,
        folder: Path,
        earlier: Sequence[LabelledSlice] = (),
    ) -> None:
        """Learn from what humans said so far, in a child process of lowest priority.

        `earlier` are slices of cases that are not open.
        """
        # A tick learns from what a human said; other slices would only take room on the disk.
        snapshot = session.snapshot(neighbours_of(plan.checkpoint), 0, earlier)
        self._session = session
        request = Learn(
            snapshot="",
            checkpoint="" if plan.checkpoint is None else str(plan.checkpoint),
            folder=str(folder),
            iterations=plan.iterations,
            learning_rate=plan.learning_rate,
            classes=tuple(c.name for c in session.classes),
            channels=next(iter(session.cases.values())).volume.channels,
        )
        self._number += 1
        number, post = self._number, self._mailbox.post
        self._run = LearningRun(len(snapshot.slices))
        self._trainer = TrainerRun(lambda said: post((number, said)), snapshot, folder, request)
        self._let_wait()
        self._say(self._at_work())

    def pause(self, paused: bool) -> None:
        """Wait where it is, or go on."""
        if self._trainer is None or paused == self._paused:
            return
        self._paused = paused
        self._let_wait()
        self._tell_step()
        self._listeners.changed()

    def make_room(self, proposing: bool) -> None:
        """Wait while slices are proposed: who looks on comes first.

        A processor's priorities alone do not see to that where the window is at work, too.
        """
        self._proposing = proposing
        self._let_wait()

    def _let_wait(self) -> None:
        """Tell the trainer whether to wait, if that changed."""
        waits = self._paused or self._proposing
        if self._trainer is not None and waits != self._run.waits and not self._run.stopping:
            self._run.wait(waits)
            self._trainer.pause(waits)

    def stop(self) -> None:
        """Discard what is being learnt."""
        self.forget()
        if self._trainer is not None:
            self._trainer.stop()
            self._paused = False
            self._run.stopping = True
            self._say("Stopping.")
            number = self._number
            QTimer.singleShot(_STOP_MS, lambda: self._end_in_time(number))

    def forget(self) -> None:
        """Say no more what the last update led to: other weights, or another work, are in use."""
        self._verdict = ""

    def close(self) -> None:
        """End the trainer, whatever it is doing, and learn no more."""
        self._mailbox.close()
        self._soon.stop()
        if self._trainer is not None:
            self._trainer.close()
            self._trainer = None
        self._number += 1

    def _on_message(self, arrived: tuple[int, Message]) -> None:
        number, message = arrived
        if number != self._number or self._trainer is None:
            return
        match message:
            case LearningFinished():
                self._finish(message)
            case Ready() if said := mismatch(message.protocol):
                self._fail(f"Learning failed: {said}.")
            case Failed(text):
                self._fail(f"Learning failed: {text.rstrip('.')}.")
            case Closed():
                self._fail("Learning ended unexpectedly; the network is as it was.")
            case _:
                self._take_note(message)

    def _take_note(self, message: Message) -> None:
        """Hear what happens on the way, and tell of it soon."""
        match message:
            case Ready(device):
                self._run.begin(device)
                self._tell_step()
            case LearningStepped():
                self._run.step(message)
                self._tell_step()
            case LearningChecked(step, dice, _):
                self.curve.checks.append((step, dice))
            case Notice(text):
                self._remark(text)
        if not self._soon.isActive():
            self._soon.start()

    def _tell_step(self) -> None:
        """Say how far it is."""
        if not self._run.stopping:
            self.words = self._at_work()

    def _at_work(self) -> str:
        """Say how far the run at work is, and what the one before it led to."""
        return f"{self._run.words(self._paused)} {self._verdict}".rstrip()

    def _remark(self, text: str) -> None:
        self._run.remarks.append(text)
        self.remarks = [*self.remarks, Remark(time.time(), text)][-_KEPT:]

    def _finish(self, finished: LearningFinished) -> None:
        run = self._run
        if run.stopping:
            # The run had ended before it could hear of it: what was given up is not used.
            finished = LearningFinished("stopped", "", "")
        self._verdict = verdict_in_words(finished)
        self._end(outcome_in_words(run.slices, finished))
        if finished.reason == "failed":
            self._listeners.failed(self.words)
        if not finished.checkpoint:
            self._listeners.gave_up(self._session)
            return
        new = PublishedWeights(
            "",
            Path(finished.checkpoint),
            time.time(),
            run.slices,
            finished.before,
            finished.after,
            finished.check_slices,
        )
        self._listeners.published(new, self._session.mark_learned)

    def _end_in_time(self, number: int) -> None:
        """End a run that was told to stop and has not: it computes for too long, or hangs."""
        if number == self._number and self._trainer is not None:
            self._finish(LearningFinished("stopped", "", ""))

    def _fail(self, words: str) -> None:
        self._end(words)
        self._listeners.failed(words)
        self._listeners.gave_up(self._session)

    def _end(self, words: str) -> None:
        if self._trainer is not None:
            self._trainer.close()
            self._trainer = None
        self._paused = False
        self._say(words)

    def _say(self, words: str) -> None:
        self.words = words
        self._soon.stop()
        self._listeners.changed()


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
