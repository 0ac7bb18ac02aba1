"""The child's end of the pipe, with children that carry no network and start at once."""

from __future__ import annotations

import io
import subprocess
import sys
import time
from pathlib import Path

import pytest

from napari_crii.engine.codec import decode, encode
from napari_crii.engine.messages import Cancel, Failed, Ready, UseCheckpoint
from napari_crii.engine.wire import Wire

pytestmark = pytest.mark.alone

SETUP = """
import os, sys, time
from napari_crii.engine.channel import Channel
from napari_crii.engine.messages import Failed, Ready
channel = Channel()
"""


def child(program: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", SETUP + program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_stray_prints_go_to_standard_error() -> None:
    program = """
print("stray", flush=True)
os.write(1, b"low level\\n")
os.system("echo from a grandchild")
channel.send(Ready("cpu"))
print("late")
"""
    output, errors = child(program).communicate(timeout=60)
    assert output == encode(Ready("cpu"))
    for words in (b"stray", b"low level", b"from a grandchild", b"late"):
        assert words in errors


def test_garbage_is_skipped_and_the_end_is_told() -> None:
    program = """
while (message := channel.receive(wait=True)) is not None:
    channel.send(Failed(type(message).__name__))
channel.send(Failed("end"))
"""
    sent = b"garbage\n" + encode(Cancel()) + b"[" * 100_000 + b"\n\xff\n" + encode(Cancel())
    output, _ = child(program).communicate(sent, timeout=60)
    assert [decode(line) for line in output.splitlines(keepends=True)] == [
        Failed("Cancel"),
        Failed("Cancel"),
        Failed("end"),
    ]


def test_a_child_that_listens_ends_at_once_when_its_input_closes() -> None:
    with child("channel.send(Ready('cpu'))\nassert channel.receive(wait=True) is None") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == encode(Ready("cpu"))
        started = time.monotonic()
        process.stdin.close()
        assert process.wait(timeout=5) == 0
        # The grace period is for busy children only.
        assert time.monotonic() - started < 2.5


@pytest.mark.parametrize("work", ["time.sleep(60)", "while True: pass"])
def test_a_busy_child_is_ended_after_the_grace_period(work: str) -> None:
    with child(f"channel.send(Ready('cpu'))\n{work}") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == encode(Ready("cpu"))
        process.stdin.close()
        assert process.wait(timeout=5) == 0


def test_a_window_that_has_gone_breaks_nothing() -> None:
    program = """
channel.receive(wait=True)
for _ in range(3):
    channel.send(Ready("cpu"))
os._exit(7)
"""
    with child(program) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.close()
        process.stdin.close()
        assert process.wait(timeout=30) == 7


def test_a_file_for_which_there_is_no_room_is_said(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(b"weights")
    (tmp_path / "there" / "w.safetensors" / "in the way").mkdir(parents=True)
    sent = io.BytesIO()
    Wire(tmp_path).write(sent, UseCheckpoint(str(tmp_path / "w.safetensors"), 7))
    program = f"""
from pathlib import Path
channel = Channel(Path({str(tmp_path / "there")!r}))
while (message := channel.receive(wait=True)) is not None:
    channel.send(Failed(type(message).__name__))
"""
    setup = SETUP.replace("channel = Channel()\n", "")
    command = [sys.executable, "-c", setup + program]
    done = subprocess.run(command, input=sent.getvalue(), capture_output=True, timeout=60)
    (said,) = [decode(line) for line in done.stdout.splitlines(keepends=True)]
    assert isinstance(said, Failed)
    assert "could not be kept on the machine that computes" in said.message
    assert said.checkpoint == 7
