"""A child: the environment in which it computes, and faults beside its messages."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from napari_crii.checkpoint import Checkpoint
from napari_crii.engine.child import Child
from napari_crii.engine.command import ENGINE, local_command
from napari_crii.engine.messages import (
    CheckpointInUse,
    Closed,
    Failed,
    Message,
    Propose,
    Ready,
    UseCheckpoint,
)
from tests.engine.waiting import Inbox

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


def test_a_full_disk_is_said_and_the_engine_goes_on(
    weights: tuple[Path, Checkpoint],
) -> None:
    inbox = Inbox()
    child = Child(local_command(ENGINE), inbox.arrived.put)

    def full() -> Message:
        raise OSError(28, "No space left on device")

    child.send_later(full)
    assert "No space" in str(inbox.until(Failed)[-1])
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
