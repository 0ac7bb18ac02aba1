"""F2: the window, the engine or both killed while the network learns and publishes.

    python -m tests.faults.f2 --count 250

A case starts a window without Qt (`f2_window`: the project, session and clients of the real one) with
its real engine and trainer, and strikes at a random moment. If the window lives, it must go on drawing
and saving, and the next proposal must come from the last good weights. In the end, however the window
went, all its processes must be gone five seconds later, no file may be half a checkpoint, and the
project must hold what was acknowledged and propose with its newest weights.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from napari_crii.checkpoint import load_checkpoint, save_checkpoint
from napari_crii.classes import numbered_classes
from napari_crii.engine.in_process import engine_in_process
from napari_crii.engine.messages import Failed, Message, ProposalFinished, SliceProposed
from napari_crii.errors import CriiError
from napari_crii.session.project import Project
from tests.factories import small_checkpoint
from tests.faults.f2_window import SHAPE, scan
from tests.faults.frame import Verdict, main

GONE_SECONDS = 5.0
_PATIENCE_SECONDS = 180.0
_ROOT = Path(__file__).resolve().parents[2]
_MARK = "NAPARI_CRII_F2"

STRIKES = (
    ("engine", "learning"),
    ("window", "learning"),
    ("engine", "publishing"),
    ("window", "publishing"),
    ("both", "learning"),
    ("both", "publishing"),
    ("trainer", "learning"),
    ("trainer", "publishing"),
    ("hung engine", "learning"),
    ("window", "starting"),
)

Event = dict[str, Any]


def check(seed: int, folder: Path) -> Verdict:
    """Run one case: the seed chooses who is struck, during what, and when."""
    victim, phase = STRIKES[seed % len(STRIKES)]
    rng = np.random.default_rng(seed)
    Project.create(folder / "p", "p", numbered_classes(["a", "b"]))
    first = save_checkpoint(folder / "first.safetensors", small_checkpoint(classes=3)).digest
    with _window(folder, int(rng.integers(3, 12))) as window:
        fault = _struck(window, victim, phase, rng)
    acknowledged = max((e["number"] for e in window.seen("saved")), default=0)
    fault = fault or window.left_behind() or _damaged(folder)
    fault = fault or _reopened(folder / "p", acknowledged, first)
    return Verdict(f"{victim} killed while {phase}", fault, victim.replace(" ", "-"))


class Window:
    """The stand-in's process as seen from here: its events, its children, its end."""

    def __init__(self, folder: Path, iterations: int) -> None:
        self.mark = uuid.uuid4().hex
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self.events: list[Event] = []
        self.ended = 0.0
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
        end = time.monotonic() + _PATIENCE_SECONDS
        while (left := end - time.monotonic()) > 0:
            try:
                event = self._events.get(timeout=left)
            except queue.Empty:
                break
            if event is None:
                break
            self.events.append(event)
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
        self.process.wait(_PATIENCE_SECONDS)
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


@contextmanager
def _window(folder: Path, iterations: int) -> Iterator[Window]:
    window = Window(folder, iterations)
    try:
        yield window
    finally:
        window.end()


def _struck(window: Window, victim: str, phase: str, rng: np.random.Generator) -> str:
    """Strike, and return what is wrong with how the window goes on, if it lives."""
    if not _reached(window, victim, phase):
        return f"{phase} was never reached"
    time.sleep(rng.uniform(0, 0.15 if phase == "publishing" else 1.0))
    child = window.pid("trainer" if victim == "trainer" else "engine")
    if victim in ("window", "both"):
        if victim == "both" and child is not None:
            _signal(child, signal.SIGKILL)
        window.kill()
        return ""
    if child is None or not _signal(
        child, signal.SIGSTOP if victim == "hung engine" else signal.SIGKILL
    ):
        return "there was nothing to strike"
    return _goes_on(window, victim)


def _reached(window: Window, victim: str, phase: str) -> bool:
    """Wait for the moment in which to strike."""
    if phase == "starting":
        return window.until(lambda e: e["event"] == "children" and bool(e["engine"])) is not None
    ready = window.until(lambda e: e["event"] == "proposed")
    if phase == "learning":
        moment = window.until(lambda e: e["event"] == "stepped")
    else:
        # After the last step the weights are judged and published.
        moment = window.until(lambda e: e["event"] == "stepped" and e["step"] == e["total"])
    if victim != "trainer":
        window.until(lambda e: e["event"] == "children" and bool(e["engine"]))
    return ready is not None and moment is not None


def _goes_on(window: Window, victim: str) -> str:
    if victim == "trainer":
        learnt = window.until(lambda e: e["event"] == "published")
        restarted = True
    else:
        restarted = window.until(lambda e: e["event"] == "restarting") is not None
        learnt = {}
    good = [e["digest"] for e in window.seen("in use")][-1]
    if not restarted or learnt is None:
        return "what was killed did not start again"
    if victim != "trainer":
        again = window.until(lambda e: e["event"] == "in use")
        if again is None or again["digest"] != good:
            return f"the new engine does not begin with the last good weights {good[:8]}: {again}"
    if window.until(lambda e: e["event"] == "saved") is None:
        return "nothing is saved any more"
    proposed = window.until(lambda e: e["event"] == "proposed")
    in_use = [e["digest"] for e in window.seen("in use")]
    if proposed is None or proposed["digest"] not in (good, *in_use[-1:]):
        return f"the next proposal is not from the last good weights: {proposed}"
    failures = window.seen("failed")
    return f"failures were told: {failures}" if failures else ""


def _signal(pid: int, number: int) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def _damaged(folder: Path) -> str:
    """Return which checkpoint, anywhere in a folder, is not whole."""
    for path in folder.rglob("[!.]*.safetensors"):
        try:
            load_checkpoint(path)
        except CriiError as error:
            return str(error)
    return ""


def _reopened(path: Path, acknowledged: int, first: str) -> str:
    """Open the project as the next window does, and propose a slice."""
    with Project.open(path) as project:
        kept = project.journal.saved.number
        weights = project.checkpoint_paths()
    if kept < acknowledged:
        return f"entry {acknowledged} was acknowledged, {kept} entries were kept"
    used = weights[-1] if weights else path.with_name("first.safetensors")
    arrived: queue.SimpleQueue[Message] = queue.SimpleQueue()
    client = engine_in_process(arrived.put)
    client.use_checkpoint(used)
    client.open_scan("scan", scan())
    client.propose("scan", [SHAPE[0] // 2])
    messages: list[Message] = []
    while not messages or not isinstance(messages[-1], ProposalFinished | Failed):
        messages.append(arrived.get(timeout=_PATIENCE_SECONDS))
    client.close(wait=True)
    expected = load_checkpoint(used).digest if weights else first
    made = [m.checkpoint for m in messages if isinstance(m, SliceProposed)]
    return "" if made == [expected] else f"the next window proposes with {made}: {messages[-1]}"


if __name__ == "__main__":
    sys.exit(main("F2", check, full=250))
