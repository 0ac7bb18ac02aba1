"""F2: the window, the engine or both killed while the network learns and publishes.

    python -m tests.faults.f2 --count 250

The window is one without Qt (`f2_window`: the project, session and clients of the real one), with
its real engine and trainer. Four times a child of it is struck at a random moment: the window must
go on drawing and saving, and the next proposal must come from the last good weights. The fifth time
it is the window itself, alone or together with its engine: five seconds later all its processes
must be gone, no file may be half a checkpoint, and the project must hold what was acknowledged and
propose with its newest weights.
"""

from __future__ import annotations

import os
import queue
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from napari_crii.checkpoint import load_checkpoint, save_checkpoint
from napari_crii.classes import numbered_classes
from napari_crii.engine.in_process import engine_in_process
from napari_crii.engine.messages import Failed, Message, ProposalFinished, SliceProposed
from napari_crii.errors import CriiError
from napari_crii.session.project import Project
from tests.factories import small_checkpoint
from tests.faults.f2_process import PATIENCE_SECONDS, Event, Window
from tests.faults.f2_window import SHAPE, scan
from tests.faults.frame import Verdict, main

CHILDREN = (
    ("engine", "learning"),
    ("trainer", "learning"),
    ("engine", "publishing"),
    ("hung engine", "learning"),
    ("engine", "learning"),
    ("trainer", "publishing"),
)
WINDOWS = (
    ("window", "learning"),
    ("both", "publishing"),
    ("window", "publishing"),
    ("both", "learning"),
    ("both", "starting"),
)
STRIKES_PER_WINDOW = 5


def check(seed: int, folder: Path) -> Verdict:
    """Run one case: the seed chooses who is struck, during what, and when.

    A window that the case before left alive is struck again; otherwise a new one is started.
    """
    life, strike = divmod(seed, STRIKES_PER_WINDOW)
    last = strike == STRIKES_PER_WINDOW - 1
    rng = np.random.default_rng(seed)
    victim, phase = WINDOWS[life % len(WINDOWS)] if last else CHILDREN[seed % len(CHILDREN)]
    window = _SITTING.window(iterations=int(rng.integers(3, 12)))
    fault = _struck(window, victim, phase, rng)
    if last or fault:
        fault = _SITTING.end() or fault
    return Verdict(f"{victim} killed while {phase}", fault, victim.replace(" ", "-"))


class Sitting:
    """The window that is struck now, and the folder of its project."""

    def __init__(self) -> None:
        self._window: Window | None = None
        self._folder = Path()
        self._first = ""

    def window(self, iterations: int) -> Window:
        """Return the window; a new one, on a new project, if there is none."""
        if self._window is None:
            self._folder = Path(tempfile.mkdtemp(prefix="faults-"))
            Project.create(self._folder / "p", "p", numbered_classes(["a", "b"]))
            weights = self._folder / "first.safetensors"
            self._first = save_checkpoint(weights, small_checkpoint(classes=3)).digest
            self._window = Window(self._folder, iterations)
        return self._window

    def end(self) -> str:
        """End the window, if it has not ended; return what is wrong with what it leaves."""
        window, self._window = self._window, None
        if window is None:
            return ""
        window.end()
        try:
            return (
                window.left_behind()
                or _damaged(self._folder)
                or _reopened(self._folder / "p", window.acknowledged, self._first)
            )
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)


_SITTING = Sitting()


def _struck(window: Window, victim: str, phase: str, rng: np.random.Generator) -> str:
    """Strike, and return what is wrong with how the window goes on, if it lives."""
    window.events.clear()
    if not _reached(window, phase):
        return f"{phase} was never reached"
    child = window.pid("trainer" if victim == "trainer" else "engine")
    if child is None:
        return "there was nothing to strike"
    if phase == "starting":
        _signal(child, signal.SIGKILL)
    time.sleep(rng.uniform(0, {"publishing": 0.15, "learning": 1.0, "starting": 4.0}[phase]))
    if victim in ("window", "both"):
        if victim == "both":
            _signal(child, signal.SIGKILL)
        window.kill()
        return ""
    _signal(child, signal.SIGSTOP if victim == "hung engine" else signal.SIGKILL)
    return _trainer_goes_on(window) if victim == "trainer" else _engine_goes_on(window)


def _reached(window: Window, phase: str) -> bool:
    """Wait until both children are at work, and then for the moment in which to strike."""
    moments: list[Callable[[Event], bool]] = [
        lambda e: e["event"] == "proposed",
        lambda e: e["event"] == "children" and bool(e["engine"] and e["trainer"]),
        # After the last step the weights are judged and published.
        lambda e: e["event"] == "stepped" and (phase != "publishing" or e["step"] == e["total"]),
    ]
    return all(window.until(moment) is not None for moment in moments)


def _trainer_goes_on(window: Window) -> str:
    if window.until(lambda e: e["event"] == "published") is None:
        return "nothing is learnt any more"
    return _window_goes_on(window)


def _engine_goes_on(window: Window) -> str:
    if window.until(lambda e: e["event"] == "restarting") is None:
        return "what was killed did not start again"
    good = window.good
    again = window.until(lambda e: e["event"] == "in use")
    if again is None or again["digest"] != good:
        return f"the new engine does not begin with {good[:8]}, which were good: {again}"
    return _window_goes_on(window)


def _window_goes_on(window: Window) -> str:
    """Return what is wrong with what the window saves, proposes and says from now on."""
    if window.until(lambda e: e["event"] == "saved") is None:
        return "nothing is saved any more"
    proposed = window.until(lambda e: e["event"] == "proposed")
    if proposed is None or proposed["digest"] != window.good:
        return f"the next proposal is not from {window.good[:8]}, which were good: {proposed}"
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
        weights = [one.path for one in project.weights.all]
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
        messages.append(arrived.get(timeout=PATIENCE_SECONDS))
    client.close(wait=True)
    expected = load_checkpoint(used).digest if weights else first
    made = [m.checkpoint for m in messages if isinstance(m, SliceProposed)]
    return "" if made == [expected] else f"the next window proposes with {made}: {messages[-1]}"


if __name__ == "__main__":
    code = main("F2", check, full=250)
    sys.exit(max(code, int(bool(_SITTING.end()))))
