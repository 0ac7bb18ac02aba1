"""Waiting for children: for their messages, and for what shall come true of them."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable

from napari_crii.engine.messages import Message

PATIENCE = 90


class Inbox:
    """Messages in the order in which they arrive."""

    def __init__(self) -> None:
        self.arrived: queue.SimpleQueue[Message] = queue.SimpleQueue()

    def until(self, *kinds: type) -> list[Message]:
        """Return everything up to the first message of one of these kinds."""
        messages: list[Message] = []
        while not messages or not isinstance(messages[-1], kinds):
            messages.append(self.arrived.get(timeout=PATIENCE))
        return messages


def eventually(condition: Callable[[], bool], seconds: float = 15) -> bool:
    """Return whether a condition comes true within some seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return condition()
