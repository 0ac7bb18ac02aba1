"""One child process: started, written to and read from threads of its own. No Qt, no torch."""

from __future__ import annotations

import contextlib
import math
import os
import queue
import subprocess
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import IO

from napari_crii.engine.command import Command
from napari_crii.engine.messages import Alive, Closed, Failed, Message, UseCheckpoint
from napari_crii.engine.wire import Wire
from napari_crii.errors import CriiError
from napari_crii.io.atomic import in_words

CLOSE_SECONDS = 5.0
# Before the first word: logging in elsewhere, loading libraries from a slow disk.
STARTING_SECONDS = 300
SILENT_SECONDS = 20
_TICK_SECONDS = 1.0
_LOST = "a file that the network sent could not be kept here; the disk may be full"
_NO_ROOM = "memory ran out: close other programs"

Receiver = Callable[[Message], None]
Job = Callable[[], Message | None]


def child_environment() -> dict[str, str]:
    """Return the environment in which a child computes.

    Threads of torch that wait for each other sleep. If they spun, as is OpenMP's habit, one of
    them that waits for a busy processor would hold up the others, on processors that look busy:
    a step took ten times as long beside one busy program. A setting of the user's own is kept.
    """
    return {"OMP_WAIT_POLICY": "PASSIVE", **os.environ}


class Child:
    """One child process; it ends when it is closed or no longer referred to.

    Whatever takes time (starting it, writing to it) happens on a thread of its own, so no call
    here makes a window wait. A child that has said once that it is alive, and then nothing for some
    time, is killed.

    Parameters
    ----------
    command
        What to run.
    receive
        Called with each message, on the reading thread; last with `Closed`.
    files
        Where the child's files arrive, if it does not see ours.
    silent
        Seconds of silence after which a child that says it is alive is taken for hung.
    """

    def __init__(
        self,
        command: Command,
        receive: Receiver,
        files: Path | None = None,
        silent: int = SILENT_SECONDS,
    ) -> None:
        self._wire = Wire(lost=lambda message: receive(Failed(_LOST)))
        self._command = command
        self.let_files_arrive(files)
        self._lifetime = _Lifetime(command, receive, self._wire, silent)
        self._thread = threading.Thread(target=self._lifetime.run, name=command.name, daemon=True)
        self._thread.start()
        weakref.finalize(self, self._lifetime.close)

    @property
    def pid(self) -> int | None:
        """Process id, once started."""
        process = self._lifetime.process
        return None if process is None else process.pid

    def let_files_arrive(self, folder: Path | None) -> None:
        """Say where files of the child arrive, if it does not see ours."""
        self._wire.files = None if self._command.shares_files else folder

    def send(self, message: Message) -> None:
        """Send a message, after everything that was asked before."""
        self._lifetime.jobs.put(lambda: message)

    def send_later(self, job: Job) -> None:
        """Do something slow on the sending thread, and send what it returns, if anything.

        An `OSError`, `MemoryError` or `CriiError` in the job is received as `Failed`.
        """
        self._lifetime.jobs.put(job)

    def close(self, wait: bool = False, grace: float = CLOSE_SECONDS) -> None:
        """Close the child's input, by which it ends; `wait` for it.

        Parameters
        ----------
        grace
            Seconds after which it is killed.
        """
        self._lifetime.close(grace)
        if wait:
            self._thread.join(2 * CLOSE_SECONDS + 1)


class _Lifetime:
    """What the threads of a child share; knows nothing of its `Child`, which can thus go."""

    def __init__(self, command: Command, receive: Receiver, wire: Wire, silent: int) -> None:
        self._command = command
        self._receive = receive
        self._wire = wire
        self._silent = silent
        self.jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self.process: subprocess.Popen[bytes] | None = None
        self._closing = threading.Event()
        self._over = threading.Event()
        self._grace = CLOSE_SECONDS
        self._beats = False
        self._patience = float(STARTING_SECONDS)

    def close(self, grace: float = CLOSE_SECONDS) -> None:
        """Let the child go; what waits to be sent is sent before."""
        self._grace = min(self._grace, grace)
        self._closing.set()
        self.jobs.put(None)

    def run(self) -> None:
        """Start the process, serve it, and see it off."""
        try:
            process = subprocess.Popen(
                self._command.words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=child_environment(),
            )
        except (OSError, MemoryError) as error:
            why = in_words(error)
            self._receive(Failed(f"the network's process cannot be started: {why}"))
            self._receive(Closed(-1))
            return
        self.process = process
        with process:
            self._serve(process)

    def _serve(self, process: subprocess.Popen[bytes]) -> None:
        reader = threading.Thread(target=self._read, args=(process,), daemon=True)
        watch = threading.Thread(target=self._watch, args=(process,), daemon=True)
        assert process.stdin is not None
        reader.start()
        watch.start()
        try:
            self._write(process.stdin)
        finally:
            with contextlib.suppress(OSError):
                process.stdin.close()
            try:
                process.wait(self._grace)
            except subprocess.TimeoutExpired:
                process.kill()
            reader.join(CLOSE_SECONDS)
            self._over.set()

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        """Kill a child that is silent for too long, or does not read on when it shall end.

        Silence is counted in turns of this thread: where everything stood still for a while, as
        on a laptop that slept, the child is given its time all the same.
        """
        while not self._over.wait(_TICK_SECONDS):
            self._patience -= _TICK_SECONDS
            if self._closing.is_set():
                self._patience = min(self._patience, self._grace)
            if self._patience < 0:
                process.kill()

    def _write(self, stream: IO[bytes]) -> None:
        """Send until closed, or until the child is gone."""
        while (job := self.jobs.get()) is not None:
            try:
                message = job()
            except (OSError, MemoryError, CriiError) as error:
                short = isinstance(error, MemoryError)
                self._receive(Failed(_NO_ROOM if short else str(error)))
                continue
            if message is None:
                continue
            try:
                self._wire.write(stream, message, self._closing.is_set)
            except CriiError as error:
                number = message.number if isinstance(message, UseCheckpoint) else 0
                self._receive(Failed(str(error), checkpoint=number))
            except (OSError, MemoryError):
                return

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        try:
            for message in self._wire.read(process.stdout, self._renew_patience):
                self._heard(message)
        finally:
            self.jobs.put(None)
            self._receive(Closed(process.wait()))

    def _renew_patience(self) -> None:
        """Begin to count anew: something came, be it a part of a file on a slow line."""
        self._patience = self._silent if self._beats else math.inf

    def _heard(self, message: Message) -> None:
        self._beats |= isinstance(message, Alive)
        self._renew_patience()
        if not isinstance(message, Alive):
            self._receive(message)
