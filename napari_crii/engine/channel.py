"""The child's end of the pipe: messages in by a thread, messages out on a private descriptor."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from typing import BinaryIO

from napari_crii.engine.messages import Message, decode, encode

GRACE_SECONDS = 3.0


class Channel:
    """Standard input and output of a child, made safe.

    Descriptor 1 is pointed at standard error, so a stray print cannot break the protocol, and
    descriptor 0 at nothing, so that nobody else reads from it. When
    standard input closes, `receive` says so; a child that is still busy after a grace period is
    ended, so that none outlives its window.
    """

    def __init__(self) -> None:
        incoming, outgoing = os.dup(0), os.dup(1)
        os.dup2(2, 1)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        self._output: BinaryIO = os.fdopen(outgoing, "wb")
        self._inbox: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._sending = threading.Lock()
        reader = threading.Thread(target=self._read, args=(incoming,), name="inbox", daemon=True)
        reader.start()

    def send(self, message: Message) -> None:
        """Send a message; silently lost when the window has gone."""
        with self._sending, contextlib.suppress(OSError):
            self._output.write(encode(message))
            self._output.flush()

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

    def _read(self, descriptor: int) -> None:
        # A file of this thread alone: the interpreter aborts when it ends by itself while a
        # daemon thread waits in sys.stdin.
        with os.fdopen(descriptor, "rb") as lines:
            for line in lines:
                with contextlib.suppress(ValueError):
                    self._inbox.put(decode(line))
        self._inbox.put(None)
        # This thread is a daemon: a child that ends by itself does not wait for it.
        time.sleep(GRACE_SECONDS)
        os._exit(0)
