"""An engine on a thread of this process: for the command line, notebooks and tests.

The same `Engine`, spoken to as a child is, without a pipe. It loads torch, so no window uses it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

from napari_crii.engine.channel import Channel, MemoryChannel
from napari_crii.engine.child import Job, Receiver
from napari_crii.engine.client import EngineClient
from napari_crii.engine.messages import Closed, Failed, Message
from napari_crii.engine.worker import Engine
from napari_crii.errors import CriiError


class InProcess:
    """What serves a channel, such as an engine, on a thread instead of in a child.

    Parameters
    ----------
    serve
        Serves a channel until `receive` returns None.
    receive
        Called with each message, on that thread; last with `Closed`.
    """

    def __init__(self, serve: Callable[[Channel], None], receive: Receiver) -> None:
        self._receive = receive
        self._channel = MemoryChannel(receive)
        self._thread = threading.Thread(target=self._run, args=(serve,), daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int | None:
        """Process id: this process."""
        return os.getpid()

    def send(self, message: Message) -> None:
        """Send a message."""
        self._channel.put(message)

    def send_later(self, job: Job) -> None:
        """Do something slow at once, for no window waits, and send what it returns."""
        try:
            message = job()
        except (OSError, CriiError) as error:
            self._receive(Failed(str(error)))
            return
        if message is not None:
            self._channel.put(message)

    def close(self, wait: bool = False) -> None:
        """Let it end after the slice, or step, that it is at; `wait` for it."""
        self._channel.end()
        if wait and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self, serve: Callable[[Channel], None]) -> None:
        # A defect is reported by the thread; whoever waits hears that it is over.
        code = 1
        try:
            serve(self._channel)
            code = 0
        finally:
            self._receive(Closed(code))


def engine_in_process(receive: Receiver) -> EngineClient:
    """Return a client whose engine runs in this process.

    Parameters
    ----------
    receive
        Called with each message, on another thread.
    """

    def start(relay: Receiver, files: Path) -> InProcess:
        return InProcess(lambda channel: Engine(channel).run(), relay)

    return EngineClient(receive, start)
