"""A window without Qt for F2: the same project, session, engine client and trainer client.

    python -m tests.faults.f2_window FOLDER ITERATIONS

FOLDER holds a project `p` and weights `first.safetensors`. It proposes, draws, accepts, learns and
takes new weights into use, over and over, and tells each event as a JSON line, until its input
closes.
"""

from __future__ import annotations

import itertools
import json
import os
import queue
import sys
import threading
import uuid
from pathlib import Path

import numpy as np

from napari_crii.checkpoint_info import read_checkpoint_info
from napari_crii.engine.child import Child, Receiver
from napari_crii.engine.client import EngineClient, TrainerClient, collect
from napari_crii.engine.command import engine_command
from napari_crii.engine.messages import (
    CheckpointInUse,
    Closed,
    Failed,
    Learn,
    LearningFinished,
    LearningStepped,
    Message,
    ProposalFinished,
    Restarting,
    SliceProposed,
)
from napari_crii.geometry import Geometry
from napari_crii.session.journal import Listener
from napari_crii.session.project import Project
from napari_crii.volume import Volume

SHAPE = (12, 40, 48)
# The upper half is accepted and learnt from, the lower half proposed and drawn on.
LEARNT = range(6)
# Seconds without a heartbeat after which an engine is taken for hung: fewer than in use.
SILENT_SECONDS = 8
_TURN_SECONDS = 0.1
# Between two rounds of proposals, for the trainer's sake.
_REST_TURNS = 5


def scan() -> Volume:
    """Return what is on display."""
    voxels = np.random.default_rng(1).integers(0, 900, SHAPE).astype(np.int16)
    return Volume(voxels, Geometry((4.0, 0.7, 1.3)), "scan")


class Window:
    """One sitting."""

    def __init__(self, folder: Path, iterations: int) -> None:
        self._iterations = iterations
        self._arrived: queue.SimpleQueue[tuple[int, Message]] = queue.SimpleQueue()
        self._runs = itertools.count(1)
        self._strokes = itertools.count()
        self._rest = 0
        saved = Listener(saved=lambda told: say("saved", number=told.number))
        self.project = Project.open(folder / "p", listener=saved)
        self._case = self.project.session.open(scan())
        kept = [one.path for one in self.project.weights.all]
        self._weights = kept[-1] if kept else folder / "first.safetensors"
        self._engine = EngineClient(lambda m: self._arrived.put((0, m)), _start)
        self._engine.use_checkpoint(self._weights)
        self._engine.open_scan("scan", self._case.volume)
        self._propose()
        for index in LEARNT:
            self._case.accept_slice(index)
        self._trainer: TrainerClient | None = None
        self._run = 0
        self._learn()

    def turn(self) -> None:
        """Do what a user and an event loop do in a while."""
        self._draw()
        self._rest -= 1
        if self._rest == 0:
            self._propose()
        say("children", engine=self._engine.pid, trainer=self._trainer and self._trainer.pid)
        try:
            while True:
                run, message = self._arrived.get(timeout=_TURN_SECONDS)
                if run == 0:
                    self._on_engine(message)
                elif run == self._run:
                    self._on_trainer(message)
        except queue.Empty:
            return

    def close(self) -> None:
        """Go in an orderly way."""
        if self._trainer is not None:
            self._trainer.close()
        self._engine.close(wait=True)
        self.project.close()

    def _draw(self) -> None:
        number = next(self._strokes)
        index = len(LEARNT) + number % (SHAPE[0] - len(LEARNT))
        labels = self._case.shown(index).copy()
        row, column = number // 6 % (SHAPE[1] - 2), number * 7 % (SHAPE[2] - 2)
        labels[row : row + 2, column : column + 2] = 1 + labels[row, column] % 2
        self._case.draw(index, labels)

    def _propose(self) -> None:
        self._engine.propose("scan", range(SHAPE[0]))

    def _on_engine(self, message: Message) -> None:
        match message:
            case SliceProposed():
                proposal = collect(message)
                self._case.publish(proposal)
                say("proposed", digest=proposal.checkpoint)
            case ProposalFinished():
                self._rest = _REST_TURNS
            case CheckpointInUse(digest):
                say("in use", digest=digest)
            case Restarting():
                say("restarting")
            case Failed(text):
                say("failed", text=text)
            case Closed():
                # Idle at that moment; the next question starts it.
                say("restarting")
                self._rest = 1

    def _learn(self) -> None:
        run = self._run = next(self._runs)
        folder = self._engine.folder
        self._trainer = TrainerClient(lambda m: self._arrived.put((run, m)))
        request = Learn(
            str(folder / f"{uuid.uuid4().hex}.npz"),
            str(self._weights),
            str(folder),
            self._iterations,
        )
        self._trainer.learn(self.project.session.snapshot(), folder, request)

    def _on_trainer(self, message: Message) -> None:
        match message:
            case LearningStepped(step, total):
                say("stepped", step=step, total=total)
            case LearningFinished() if message.checkpoint:
                self._weights = Path(message.checkpoint)
                self.project.weights.add(self._weights)
                self._engine.use_checkpoint(self._weights)
                say("published", digest=read_checkpoint_info(self._weights).digest)
            case Failed(text):
                say("failed", text=text)
            case Closed():
                self._learn()


def _start(receive: Receiver, files: Path) -> Child:
    return Child(engine_command(), receive, files, SILENT_SECONDS)


def say(event: str, **more: object) -> None:
    """Tell an event."""
    os.write(1, json.dumps({"event": event, **more}).encode() + b"\n")


def main(folder: Path, iterations: int) -> None:
    """Work until the input closes."""
    end = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), end.set()), daemon=True).start()
    window = Window(folder, iterations)
    while not end.is_set():
        window.turn()
    window.close()
    # At once: the thread that reads the input must not hold up the interpreter.
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
