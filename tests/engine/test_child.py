"""A child: the environment in which it computes, and faults beside its messages."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from napari_crii.checkpoint import Checkpoint
from napari_crii.engine.child import Child
from napari_crii.engine.command import ENGINE, Command, local_command
from napari_crii.engine.messages import (
    CheckpointInUse,
    Closed,
    Failed,
    Message,
    Propose,
    Ready,
    UseCheckpoint,
)
from tests.engine.waiting import Inbox, eventually

pytestmark = [pytest.mark.alone, pytest.mark.usefixtures("no_child_is_left")]


@pytest.mark.parametrize(("said", "expected"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_of_a_child_sleep_while_they_wait_unless_the_user_says_otherwise(
    said: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if said is not None:
        monkeypatch.setenv("OMP_WAIT_POLICY", said)
    inbox = Inbox()
    child = Child(local_command(ENGINE), inbox.arrived.put)
    inbox.until(Ready)
    assert child.pid is not None
    assert psutil.Process(child.pid).environ()["OMP_WAIT_POLICY"] == expected
    child.close(wait=True)
    assert inbox.until(Closed)[-1] == Closed(0)


@pytest.mark.parametrize(
    ("error", "words"),
    [(OSError(28, "No space left on device"), "No space"), (MemoryError(), "memory ran out")],
)
def test_a_full_disk_or_memory_is_said_and_the_engine_goes_on(
    error: Exception, words: str, weights: tuple[Path, Checkpoint]
) -> None:
    inbox = Inbox()
    child = Child(local_command(ENGINE), inbox.arrived.put)

    def full() -> Message:
        raise error

    child.send_later(full)
    assert words in str(inbox.until(Failed)[-1])
    child.send(UseCheckpoint(str(weights[0])))
    inbox.until(CheckpointInUse)
    child.close(wait=True)
    assert inbox.until(Closed)[-1] == Closed(0)


def test_a_program_that_cannot_be_started_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/no/such/python")
    inbox = Inbox()
    child = Child(local_command(ENGINE), inbox.arrived.put)
    assert isinstance(inbox.until(Closed)[0], Failed)
    child.send(Propose(1, "a", (0,)))
    child.close(wait=True)
    assert child.pid is None


BEATING = """
import sys, time
from napari_crii.engine.channel import Channel
channel = Channel()
channel.beat()
"""


def program(text: str) -> Command:
    return Command("a test", (sys.executable, "-c", text))


def test_a_child_that_falls_silent_is_killed() -> None:
    inbox = Inbox()
    stopped = BEATING + "import os, signal; time.sleep(2.5); os.kill(os.getpid(), signal.SIGSTOP)"
    child = Child(program(stopped), inbox.arrived.put, silent=3)
    assert inbox.until(Closed) == [Closed(-signal.SIGKILL)]
    child.close(wait=True)


def test_a_child_that_computes_without_end_says_that_it_is_alive() -> None:
    inbox = Inbox()
    busy = BEATING + "from napari_crii.engine.messages import Ready\n"
    busy += "end = time.monotonic() + 8\nwhile time.monotonic() < end: pass\n"
    child = Child(program(busy + "channel.send(Ready('cpu'))"), inbox.arrived.put, silent=5)
    assert inbox.until(Closed) == [Ready("cpu"), Closed(0)]
    child.close(wait=True)


def test_a_child_that_never_beats_is_not_taken_for_hung() -> None:
    inbox = Inbox()
    quiet = BEATING.replace("channel.beat()", "")
    quiet += "from napari_crii.engine.messages import Ready\n"
    quiet += "channel.send(Ready('a'))\ntime.sleep(4)\nchannel.send(Ready('b'))"
    child = Child(program(quiet), inbox.arrived.put, silent=1)
    assert inbox.until(Closed) == [Ready("a"), Ready("b"), Closed(0)]
    child.close(wait=True)


WAITING = (
    BEATING
    + """
from napari_crii.engine.messages import Ready
channel.send(Ready("a"))
channel.receive(wait=True)
"""
)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("defect", ["in a job", "in the receiver"])
def test_a_defect_on_a_thread_of_ours_ends_the_child_and_its_end_is_heard(defect: str) -> None:
    inbox = Inbox()

    def receive(message: Message) -> None:
        if defect == "in the receiver" and isinstance(message, Ready):
            raise ValueError("a defect")
        inbox.arrived.put(message)

    def job() -> Message:
        raise ValueError("a defect")

    child = Child(program(WAITING), receive)
    if defect == "in a job":
        child.send_later(job)
    assert isinstance(inbox.until(Closed)[-1], Closed)
    child.close(wait=True)


def test_a_child_that_does_not_hear_is_killed_after_its_grace() -> None:
    inbox = Inbox()
    deaf = "import sys, time\nprint('')\nsys.stdout.flush()\ntime.sleep(60)"
    child = Child(program(deaf), inbox.arrived.put)
    assert eventually(lambda: child.pid is not None)
    child.close(wait=True, grace=0.1)
    assert inbox.until(Closed) == [Closed(-signal.SIGKILL)]


@pytest.mark.parametrize("role", ["engine", "trainer"])
def test_a_child_ends_with_the_process_that_started_it(role: str) -> None:
    start = f"""
import subprocess, sys, os
words = [sys.executable, "-P", "-m", "napari_crii.engine.launch", {role!r}, str(os.getpid())]
# Its input stays open beyond the end of this process.
child = subprocess.Popen(words, stdin=0, stdout=subprocess.DEVNULL)
print(child.pid, flush=True)
os._exit(0)
"""
    window = subprocess.Popen(
        [sys.executable, "-c", start], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with window:
        assert window.stdout is not None
        orphan = int(window.stdout.readline())
        assert eventually(lambda: not psutil.pid_exists(orphan))
