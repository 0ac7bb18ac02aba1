"""One child process: started, written to and read from threads of its own. No Qt, no torch."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable

from napari_crii.engine.messages import (
    Closed,
    Failed,
    Message,
    decode,
    encode,
)
from napari_crii.errors import CriiError

CLOSE_SECONDS = 5.0

_log = logging.getLogger(__name__)

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
    here makes a window wait.

    Parameters
    ----------
    module
        What to run with ``python -m``.
    receive
        Called with each message, on the reading thread; last with `Closed`.
    """

    def __init__(self, module: str, receive: Receiver) -> None:
        # -P: a file named like a library, in the folder one happens to be in, is not run.
        self._lifetime = _Lifetime([sys.executable, "-P", "-m", module], receive)
        self._thread = threading.Thread(target=self._lifetime.run, name=module, daemon=True)
        self._thread.start()
        weakref.finalize(self, self._lifetime.jobs.put, None)

    @property
    def pid(self) -> int | None:
        """Process id, once started."""
        process = self._lifetime.process
        return None if process is None else process.pid

    def send(self, message: Message) -> None:
        """Send a message, after everything that was asked before."""
        self._lifetime.jobs.put(lambda: message)

    def send_later(self, job: Job) -> None:
        """Do something slow on the sending thread, and send what it returns, if anything.

        An `OSError` or `CriiError` in the job is received as `Failed`.
        """
        self._lifetime.jobs.put(job)

    def close(self, wait: bool = False) -> None:
        """Close the child's input, by which it ends; `wait` for it."""
        self._lifetime.jobs.put(None)
        if wait:
            self._thread.join(2 * CLOSE_SECONDS + 1)


class _Lifetime:
    """What the threads of a child share; knows nothing of its `Child`, which can thus go."""

    def __init__(self, command: list[str], receive: Receiver) -> None:
        self._command = command
        self._receive = receive
        self.jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self.process: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        """Start the process, serve it, and see it off."""
        try:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=child_environment(),
            )
        except OSError as error:
            self._receive(Failed(f"the network's process cannot be started: {error}"))
            self._receive(Closed(-1))
            return
        self.process = process
        with process:
            self._serve(process)

    def _serve(self, process: subprocess.Popen[bytes]) -> None:
        reader = threading.Thread(target=self._read, args=(process,), daemon=True)
        reader.start()
        self._write(process)
        with contextlib.suppress(OSError):
            process.stdin.close()  # type: ignore[union-attr]
        try:
            process.wait(CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
        reader.join(CLOSE_SECONDS)

    def _write(self, process: subprocess.Popen[bytes]) -> None:
        """Send until closed, or until the child is gone."""
        while (job := self.jobs.get()) is not None:
            try:
                message = job()
            except (OSError, CriiError) as error:
                self._receive(Failed(str(error)))
                continue
            try:
                if message is not None and process.stdin is not None:
                    process.stdin.write(encode(message))
                    process.stdin.flush()
            except OSError:
                return

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        for line in process.stdout or ():
            try:
                message = decode(line)
            except ValueError:
                _log.warning("the network's process wrote a line that is no message")
                continue
            self._receive(message)
        self.jobs.put(None)
        self._receive(Closed(process.wait()))
