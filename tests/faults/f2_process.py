"""The window of F2 as its striker sees it: a process with children, what it tells, its end."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

GONE_SECONDS = 5.0
PATIENCE_SECONDS = 900.0
_ROOT = Path(__file__).resolve().parents[2]
_MARK = "NAPARI_CRII_F2"

Event = dict[str, Any]


class Window:
    """The stand-in's process as seen from here: its events, its children, its end."""

    def __init__(self, folder: Path, iterations: int) -> None:
        self.mark = uuid.uuid4().hex
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self.events: list[Event] = []
        self.ended = 0.0
        self.good = ""
        self.acknowledged = 0
        (folder / "tmp").mkdir()
        environment = {
            **os.environ,
            "PYTHONPATH": str(_ROOT),
            "OMP_NUM_THREADS": "1",
            "TMPDIR": str(folder / "tmp"),
            _MARK: self.mark,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.f2_window", str(folder), str(iterations)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            cwd=_ROOT,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def seen(self, event: str) -> list[Event]:
        """Return events of a kind so far."""
        return [e for e in self.events if e["event"] == event]

    def until(self, wanted: Callable[[Event], bool]) -> Event | None:
        """Take events in up to one that is wanted; None if it does not come."""
        end = time.monotonic() + PATIENCE_SECONDS
        while (left := end - time.monotonic()) > 0:
            try:
                event = self._events.get(timeout=left)
            except queue.Empty:
                break
            if event is None:
                break
            self.events.append(event)
            self.acknowledged = event.get("number", self.acknowledged)
            if event["event"] == "in use":
                self.good = event["digest"]
            if wanted(event):
                return event
        return None

    def pid(self, child: str) -> int | None:
        """Return the process of a child, as told last."""
        return next((e[child] for e in reversed(self.seen("children"))), None)

    def end(self) -> None:
        """Close the window's input, by which it ends, if it has not ended; note when."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process.wait(PATIENCE_SECONDS)
        self.ended = self.ended or time.monotonic()
        self.until(lambda event: False)

    def kill(self) -> None:
        """Kill the window itself."""
        self.process.kill()
        self.process.wait()
        self.ended = time.monotonic()

    def left_behind(self) -> str:
        """Return which of its processes are there later than allowed; they are killed."""
        while True:
            left = list(self._marked())
            if not left:
                return ""
            if time.monotonic() > self.ended + GONE_SECONDS:
                break
            time.sleep(0.05)
        for process in left:
            process.kill()
        return f"{len(left)} processes outlive the window"

    def _marked(self) -> Iterator[psutil.Process]:
        for process in psutil.process_iter():
            try:
                if process.environ().get(_MARK) == self.mark:
                    yield process
            # Another user's, or gone meanwhile, or a zombie, which has no environment.
            except psutil.Error:
                continue

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self._events.put(json.loads(line))
        self._events.put(None)
