"""An engine that is started again when it dies, with what it must know and what it still owes.

No Qt, no torch. Threads of the window and of the child come here.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from napari_crii.engine.child import Job, Receiver
from napari_crii.engine.messages import (
    Cancel,
    CheckpointInUse,
    Closed,
    Failed,
    FellBack,
    ForgetScans,
    Message,
    ProposalFinished,
    Propose,
    Ready,
    Restarting,
    SliceProposed,
)
from napari_crii.engine.protocol import mismatch
from napari_crii.engine.wanted import Wanted
from napari_crii.engine.weights import Weights
from napari_crii.errors import CriiError

DEATHS_IN_A_ROW = 5
LONGEST_DELAY_SECONDS = 16.0

_log = logging.getLogger(__name__)


class Process(Protocol):
    """What carries an engine: a child, or a thread of this process."""

    @property
    def pid(self) -> int | None:
        """Process id, once started."""

    def send(self, message: Message) -> None:
        """Send a message, after everything that was asked before."""

    def send_later(self, job: Job) -> None:
        """Do something slow, and send what it returns."""

    def close(self, wait: bool = False) -> None:
        """Close the engine's input, by which it ends."""


def delay_after(deaths: int) -> float:
    """Return seconds from the latest of some deaths in a row to the next start: 1, 2, 4, ..."""
    return min(2.0 ** (deaths - 1), LONGEST_DELAY_SECONDS) if deaths else 0.0


class Supervision:
    """One engine after the other.

    An engine that dies while something is wanted is started again after a delay, told what the
    earlier one knew, and asked for what is left. After `DEATHS_IN_A_ROW` deaths without a slice
    in between what is wanted is given up, and one sentence says so; the next question makes one
    more attempt. An engine that dies idle is started by the next question. Never does an engine
    start before the delay is over.

    Parameters
    ----------
    start
        Starts an engine that sends its messages to the receiver it is given.
    receive
        Called with each message, on another thread.
    """

    def __init__(self, start: Callable[[Receiver], Process], receive: Receiver) -> None:
        self._start_process = start
        self._receive = receive
        self._lock = threading.RLock()
        self._process: Process | None = None
        self._timer: threading.Timer | None = None
        self._weights = Weights()
        self._scans: dict[str, Job] = {}
        self._wanted = Wanted()
        self._deaths = 0
        self._not_before = 0.0
        self._closed = False

    @property
    def pid(self) -> int | None:
        """Process id of the engine, if it runs."""
        process = self._process
        return None if process is None else process.pid

    def use_checkpoint(self, path: Path) -> None:
        """Propose with these weights from the next slice on."""
        with self._lock:
            told = self._weights.wish(path)
            self._tell(lambda process: process.send(told))

    def open_scan(self, key: str, spool: Job) -> None:
        """Make a scan known; `spool` makes the message."""
        with self._lock:
            self._scans[key] = spool
            self._tell(lambda process: process.send_later(spool))

    def forget_scans(self) -> None:
        """Let go of all scans that are known so far, and of what is wanted of them."""
        with self._lock:
            self._scans.clear()
            self._wanted.clear()
            if self._process is not None:
                self._process.send(ForgetScans())

    def ask(self, request: Propose) -> None:
        """Ask for slices."""
        with self._lock:
            self._wanted.ask(request)
            self._tell(lambda process: process.send(request))

    def cancel(self) -> None:
        """Want nothing any more."""
        with self._lock:
            self._wanted.clear()
            if self._process is not None:
                self._process.send(Cancel())

    def close(self) -> Process | None:
        """Start no engine any more; return the one that runs, its input closed."""
        with self._lock:
            self._closed = True
            if self._timer is not None:
                self._timer.cancel()
            if self._process is not None:
                self._process.close()
            return self._process

    def _tell(self, how: Callable[[Process], None]) -> None:
        """Tell the engine that runs; a new one is told everything when it starts."""
        if self._process is not None:
            how(self._process)
        elif self._timer is None and not self._closed:
            self._start_in(self._not_before - time.monotonic())

    def _start_in(self, seconds: float) -> None:
        if seconds <= 0:
            self._start()
            return
        self._timer = threading.Timer(seconds, self._start)
        self._timer.name = "napari_crii restart"
        self._timer.daemon = True
        self._timer.start()

    def _start(self) -> None:
        with self._lock:
            self._timer = None
            if self._closed:
                return
            try:
                self._process = process = self._start_process(self._on_message)
            except CriiError as error:
                self._wanted.clear()
                self._receive(Failed(str(error)))
                return
            for told in self._weights.tell_again():
                process.send(told)
            for spool in self._scans.values():
                process.send_later(spool)
            for request in self._wanted.as_requests():
                process.send(request)

    def _on_message(self, message: Message) -> None:
        with self._lock:
            answers = self._noted(message)
        for answer in answers:
            self._receive(answer)

    def _noted(self, message: Message) -> list[Message]:
        """Keep the books; return what the receiver hears."""
        match message:
            case SliceProposed(request, scan, index):
                self._deaths = 0
                if scan == self._wanted.scan:
                    self._wanted.is_done(index, request)
            case ProposalFinished(request):
                self._deaths = 0
                self._wanted.drop(request)
            case CheckpointInUse():
                self._weights.taken(message.number)
            case Ready() if said := mismatch(message.protocol):
                self._wanted.clear()
                return [Failed(said)]
            case Failed():
                self._wanted.drop(message.request)
                self._weights.refused(message.checkpoint)
            case Closed() if not self._closed:
                return self._died(message)
        return [message]

    def _died(self, message: Closed) -> list[Message]:
        never_ran = self.pid is None
        self._process = None
        self._deaths += 1
        delay = delay_after(self._deaths)
        self._not_before = time.monotonic() + delay
        answers: list[Message] = []
        dropped = self._weights.died()
        if dropped is not None:
            assert self._weights.good is not None
            answers.append(FellBack(dropped.name, str(self._weights.good)))
        if never_ran or not self._wanted:
            self._wanted.clear()
            return [*answers, message]
        if self._deaths >= DEATHS_IN_A_ROW:
            self._wanted.clear()
            return [*answers, Failed(_given_up(message.exit_code)), message]
        _log.warning("the engine ended (%d) and starts again", message.exit_code)
        self._start_in(delay)
        return [*answers, Restarting(self._deaths, delay)]


def _given_up(exit_code: int) -> str:
    return (
        f"the network's process ended {DEATHS_IN_A_ROW} times in a row (exit code {exit_code}); "
        "it starts again when you propose"
    )
