"""A small project with strokes, and what learns from it: for the faults of learning."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray

from napari_crii.checkpoint import Checkpoint
from napari_crii.classes import numbered_classes
from napari_crii.engine.client import TrainerClient
from napari_crii.engine.messages import Closed, Failed, Learn, LearningFinished, Message, Ready
from napari_crii.geometry import Geometry
from napari_crii.session import Case
from napari_crii.session.project import Project
from napari_crii.snapshot import Snapshot
from napari_crii.volume import Volume
from tests.engine.waiting import Inbox
from tests.factories import disc, small_checkpoint

SHAPE = (4, 72, 80)
# A trainer of lowest priority waits for everybody else on a busy machine.
PATIENCE = 900
GEOMETRY = Geometry((4.0, 0.7, 1.3))


def scan(shape: tuple[int, int, int] = SHAPE) -> Volume:
    """Return a scan of noise with a bright disc on each slice."""
    rng = np.random.default_rng(0)
    truth = disc(shape[1:], (shape[1] / 2, shape[2] / 2), (14, 18))
    return Volume((truth * 200 + rng.normal(0, 30, shape)).astype(np.float32), GEOMETRY, "discs")


def weights() -> Checkpoint:
    return small_checkpoint(scope="volume")


class Work:
    """An open project on which somebody has drawn, and goes on drawing."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "p"
        Project.create(self.path, "p", numbered_classes(["disc"]))
        self.project = Project.open(self.path, "r")
        self.case: Case = self.project.session.open(scan())
        truth = disc(SHAPE[1:], (SHAPE[1] / 2, SHAPE[2] / 2), (14, 18)).astype(np.uint8)
        self.case.draw(1, truth)
        self.case.accept_slice(1)
        self.case.draw(2, truth)

    def snapshot(self) -> Snapshot:
        return self.project.session.snapshot()

    def harm(self) -> str:
        """Draw once more, close, and say what of all strokes is not there on opening again."""
        self.case.draw(3, np.eye(*SHAPE[1:], dtype=np.uint8))
        drawn = self._masks(self.case)
        self.project.close()
        with Project.open(self.path) as project:
            found = self._masks(project.session.open(scan()))
        same = all(np.array_equal(a, b) for a, b in zip(drawn, found, strict=True))
        return "" if same else "strokes are not as they were"

    def _masks(self, case: Case) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
        return case.human.labels.copy(), case.human.provenance.copy()


def is_sentence(text: str) -> bool:
    """Whether a text is one plain sentence."""
    return text.endswith(".") and "\n" not in text and text[0].isupper() and "Error" not in text


class PatientInbox(Inbox):
    """Messages of a child that may have to wait long."""

    def until(self, *kinds: type) -> list[Message]:
        messages: list[Message] = []
        while not messages or not isinstance(messages[-1], kinds):
            messages.append(self.arrived.get(timeout=PATIENCE))
        return messages


def learn_in_child(
    snapshot: Snapshot, request: Learn, folder: Path, more: int | None = None
) -> tuple[list[Message], int]:
    """Let a real trainer learn; return what it said and its exit code.

    Parameters
    ----------
    more
        Bytes of address space that it may take beside what it holds when it is ready.
    """
    Path(request.folder).mkdir(exist_ok=True)
    inbox = PatientInbox()
    trainer = TrainerClient(inbox.arrived.put)
    inbox.until(Ready)
    hurry(trainer.pid or 0)
    if more is not None:
        limit(trainer.pid or 0, more)
    trainer.learn(snapshot, folder, request)
    said = inbox.until(LearningFinished, Failed, Closed)
    # It ends by itself; closing it now would give it five seconds.
    closed = said[-1] if isinstance(said[-1], Closed) else inbox.until(Closed)[-1]
    trainer.close(wait=True)
    assert isinstance(closed, Closed)
    return said, closed.exit_code


def hurry(pid: int) -> None:
    """Let a child wait for nobody, where we may: its priority is not what is tried here."""
    with suppress(psutil.AccessDenied, PermissionError):
        if sys.platform == "linux":
            os.sched_setscheduler(pid, os.SCHED_OTHER, os.sched_param(0))
        psutil.Process(pid).nice(0)


def limit(pid: int, more: int) -> None:
    """Let a process take `more` bytes of address space than it has."""
    process = psutil.Process(pid)
    _, hard = process.rlimit(psutil.RLIMIT_AS)
    process.rlimit(psutil.RLIMIT_AS, (process.memory_info().vms + more, hard))
