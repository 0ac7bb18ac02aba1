"""One run of learning, begun anew once if its trainer vanishes. No Qt, no torch."""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from napari_crii.engine.child import Receiver
from napari_crii.engine.client import TrainerClient
from napari_crii.engine.messages import Closed, Failed, Learn, LearningFinished, Message, Notice
from napari_crii.errors import CriiError
from napari_crii.snapshot import Snapshot

_BEGINS = 2
BEGAN_ANEW = Notice("Learning ended unexpectedly and began anew.")


class Trainer(Protocol):
    """What learns once, as a `TrainerClient`."""

    def learn(self, snapshot: Snapshot, folder: Path, request: Learn) -> None:
        """Start."""

    def pause(self, paused: bool) -> None:
        """Wait, or go on."""

    def stop(self) -> None:
        """Discard what is being learnt."""

    def close(self) -> None:
        """End."""


class TrainerRun:
    """A run that outlives its trainer.

    Where a trainer is killed or hangs, another one begins the run anew, from the same snapshot, and
    the receiver hears `BEGAN_ANEW`; if that one vanishes, too, or after `stop`, it hears `Closed`.

    Parameters
    ----------
    receive
        Called with each message, on another thread; after `close` at most with one that was on its
        way. That no trainer can be started is heard as `Failed`, at first on the caller's thread.
    snapshot
        What to learn from; kept until `close`, as is its file.
    folder
        Where the snapshot is written and the new weights appear.
    request
        What to learn; where the snapshot lies is filled in.
    start
        Makes a trainer that sends its messages to the receiver it is given; by default a child.
    """

    def __init__(
        self,
        receive: Receiver,
        snapshot: Snapshot,
        folder: Path,
        request: Learn,
        start: Callable[[Receiver], Trainer] | None = None,
    ) -> None:
        self._receive = receive
        self._snapshot = snapshot
        self._folder = folder
        self._file = folder / f"{uuid.uuid4().hex}.npz"
        self._request = replace(request, snapshot=str(self._file))
        self._start = start or TrainerClient
        # The window and the threads that read from trainers come here.
        self._lock = threading.RLock()
        self._begins = 0
        self._paused = self._stopped = self._over = False
        self._trainer: Trainer | None = None
        with self._lock:
            failed = self._begin()
        if failed is not None:
            self._receive(failed)

    def pause(self, paused: bool) -> None:
        """Wait, or go on, as each trainer of the run then does."""
        with self._lock:
            self._paused = paused
            if self._trainer is not None:
                self._trainer.pause(paused)

    def stop(self) -> None:
        """Discard what is being learnt."""
        with self._lock:
            self._stopped = True
            if self._trainer is not None:
                self._trainer.stop()

    def close(self) -> None:
        """End the trainer, whatever it is doing, and remove the snapshot's file."""
        with self._lock:
            self._over = True
            if self._trainer is not None:
                self._trainer.close()
        with contextlib.suppress(OSError):
            self._file.unlink(missing_ok=True)

    def _begin(self) -> Failed | None:
        """Send a trainer out, from the first step; return why there is none."""
        self._begins += 1
        number = self._begins
        try:
            trainer = self._start(lambda message: self._on_message(number, message))
        # The latter where the system has no thread left.
        except (CriiError, RuntimeError) as error:
            self._trainer, self._over = None, True
            return Failed(str(error))
        self._trainer = trainer
        trainer.learn(self._snapshot, self._folder, self._request)
        if self._paused:
            trainer.pause(True)
        return None

    def _on_message(self, number: int, message: Message) -> None:
        with self._lock:
            if self._over or number != self._begins:
                return
            match message:
                case LearningFinished() | Failed():
                    # What a trainer says last; that it then goes is no news.
                    self._over = True
                case Closed() if self._begins < _BEGINS and not self._stopped:
                    if self._trainer is not None:
                        self._trainer.close()
                    message = self._begin() or BEGAN_ANEW
        self._receive(message)
