"""The child's end of the pipe: messages in by a thread, messages out on a private descriptor."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from napari_crii.engine.messages import Alive, Failed, Message, UseCheckpoint
from napari_crii.engine.wire import Wire

GRACE_SECONDS = 3.0
BEAT_SECONDS = 1.0
_LOST = "a file could not be kept on the machine that computes; its disk may be full"


class Channel:
    """Standard input and output of a child, made safe.

    Descriptor 1 is pointed at standard error, so a stray print cannot break the protocol, and
    descriptor 0 at nothing, so that nobody else reads from it. When
    standard input closes, `receive` says so; a child that is still busy after a grace period is
    ended, so that none outlives its window.

    Parameters
    ----------
    files
        Where files arrive, for a child that does not see the window's.
    leave
        Called before a busy child is ended.
    """

    def __init__(self, files: Path | None = None, leave: Callable[[], None] | None = None) -> None:
        incoming, outgoing = os.dup(0), os.dup(1)
        os.dup2(2, 1)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        self._output: BinaryIO = os.fdopen(outgoing, "wb")
        self._inbox: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._sending = threading.Lock()
        self._wire = Wire(files, self._on_lost)
        self._leave = leave
        reader = threading.Thread(target=self._read, args=(incoming,), name="inbox", daemon=True)
        reader.start()

    def send(self, message: Message) -> None:
        """Send a message; silently lost when the window has gone."""
        with self._sending, contextlib.suppress(OSError):
            self._wire.write(self._output, message)

    def _on_lost(self, message: Message) -> None:
        """Say that something asked for cannot be done; else the window would wait for it."""
        number = message.number if isinstance(message, UseCheckpoint) else 0
        self.send(Failed(_LOST, checkpoint=number))

    def receive(self, wait: bool) -> Message | None:
        """Return the next message.

        Raises
        ------
        queue.Empty
            If there is none and `wait` is False.

        Returns
        -------
        Message or None
            None when the window has gone.
        """
        return self._inbox.get(block=wait)

    def end(self) -> None:
        """Let `receive` say, after what has arrived, that the window has gone."""
        self._inbox.put(None)

    def beat(self) -> None:
        """Say from now on that the child is alive, on a thread: while it waits and computes."""
        threading.Thread(target=self._beat, name="heartbeat", daemon=True).start()

    def _beat(self) -> None:
        while True:
            self.send(Alive())
            time.sleep(BEAT_SECONDS)

    def _read(self, descriptor: int) -> None:
        # A file of this thread alone: the interpreter aborts when it ends by itself while a
        # daemon thread waits in sys.stdin.
        with os.fdopen(descriptor, "rb") as stream, contextlib.suppress(OSError):
            for message in self._wire.read(stream):
                self._inbox.put(message)
        self._inbox.put(None)
        # This thread is a daemon: a child that ends by itself does not wait for it.
        time.sleep(GRACE_SECONDS)
        if self._leave is not None:
            self._leave()
        os._exit(0)


class MemoryChannel(Channel):
    """The same for an engine or a trainer that runs inside this process.

    Parameters
    ----------
    receive
        Called with each message that is sent, on the sender's thread.
    """

    def __init__(self, receive: Callable[[Message], None]) -> None:
        self._receive = receive
        self._inbox = queue.SimpleQueue()

    def send(self, message: Message) -> None:
        """Hand a message over at once."""
        self._receive(message)

    def put(self, message: Message) -> None:
        """Put a message into the inbox."""
        self._inbox.put(message)
