"""What takes a trainer's place in tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from napari_crii.engine.messages import Learn, Message


class TrainerStandIn:
    """Takes the trainer's place inside this process: says what a test lets it say."""

    def __init__(self, receive: Callable[[Message], None]) -> None:
        self.receive = receive
        self.requests: list[Learn] = []
        self.snapshot: Any = None
        self.heard: list[str | bool] = []

    def learn(self, snapshot: Any, folder: Path, request: Learn) -> None:
        self.snapshot = snapshot
        self.requests.append(request)

    def pause(self, paused: bool) -> None:
        self.heard.append(paused)

    def stop(self) -> None:
        self.heard.append("stop")

    def close(self) -> None:
        self.heard.append("close")

    def say(self, *messages: Message) -> None:
        for message in messages:
            self.receive(message)
