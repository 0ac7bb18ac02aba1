"""A run of learning and the trainers it is sent out with: stand-ins that say what a test wants."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from napari_crii.engine import client
from napari_crii.engine.messages import (
    Closed,
    Failed,
    Learn,
    LearningFinished,
    LearningStepped,
    Message,
    Ready,
)
from napari_crii.engine.trainer_run import BEGAN_ANEW, TrainerRun
from napari_crii.errors import EngineError
from napari_crii.snapshot import Snapshot
from tests.engine.trainer_stand_in import TrainerStandIn

STEP = LearningStepped(3, 10, 0.5, 0.0)
KILLED = Closed(-9)


class Sent:
    """A run and its trainers."""

    def __init__(self, folder: Path) -> None:
        self.trainers: list[TrainerStandIn] = []
        self.said: list[Message] = []
        self.run = TrainerRun(
            self.said.append, Snapshot(()), folder, Learn("", "", str(folder)), self._start
        )

    def _start(self, receive: Callable[[Message], None]) -> TrainerStandIn:
        self.trainers.append(TrainerStandIn(receive))
        return self.trainers[-1]


@pytest.fixture
def sent(tmp_path: Path) -> Sent:
    return Sent(tmp_path)


def test_a_trainer_that_vanishes_is_followed_by_one_that_is_told_the_same(sent: Sent) -> None:
    (first,) = sent.trainers
    sent.run.pause(True)
    first.say(STEP)
    first.say(KILLED)
    second = sent.trainers[-1]
    assert second is not first
    assert first.heard == [True, "close"]
    assert second.heard == [True]
    assert second.snapshot is first.snapshot
    assert second.requests == first.requests
    assert sent.said == [STEP, BEGAN_ANEW]
    # What the first one still says is of a run that is over.
    first.say(STEP)
    first.say(KILLED)
    second.say(Ready("cpu"))
    assert sent.said[2:] == [Ready("cpu")]
    assert len(sent.trainers) == 2


def test_a_second_trainer_that_vanishes_is_the_last(sent: Sent) -> None:
    sent.trainers[0].say(KILLED)
    sent.trainers[1].say(KILLED)
    assert sent.said == [BEGAN_ANEW, KILLED]
    assert len(sent.trainers) == 2


def test_a_run_that_is_stopped_or_closed_is_not_begun_anew(sent: Sent, tmp_path: Path) -> None:
    sent.run.stop()
    sent.trainers[0].say(KILLED)
    assert sent.said == [KILLED]
    other = Sent(tmp_path)
    other.run.close()
    other.trainers[0].say(STEP)
    other.trainers[0].say(KILLED)
    assert other.said == []
    assert len(sent.trainers) == len(other.trainers) == 1


@pytest.mark.parametrize("last", [LearningFinished("completed", "x", ""), Failed("no")])
def test_a_trainer_that_goes_when_it_has_done_is_not_missed(sent: Sent, last: Message) -> None:
    sent.trainers[0].say(last)
    sent.trainers[0].say(Closed(0))
    assert sent.said == [last]
    assert len(sent.trainers) == 1


def test_the_snapshots_file_is_gone_with_the_run_and_each_run_has_its_own(
    sent: Sent, tmp_path: Path
) -> None:
    files = [Path(s.trainers[0].requests[0].snapshot) for s in (sent, Sent(tmp_path))]
    assert len(set(files)) == 2
    for file in files:
        assert file.parent == tmp_path
        file.write_bytes(b"frozen")
    sent.run.close()
    assert [file.exists() for file in files] == [False, True]


def test_where_no_trainer_can_be_started_it_is_said(sent: Sent, tmp_path: Path) -> None:
    said: list[Message] = []

    def start(receive: Callable[[Message], None]) -> TrainerStandIn:
        raise EngineError("there is no closing quotation")

    run = TrainerRun(said.append, Snapshot(()), tmp_path, Learn("", "", str(tmp_path)), start)
    failed = Failed("there is no closing quotation")
    assert said == [failed]
    run.pause(True)
    run.stop()
    run.close()
    sent.run._start = start
    sent.trainers[0].say(KILLED)
    assert sent.said == [failed]


@pytest.mark.parametrize("when", ["before it is written", "while it is written"])
def test_a_trainer_that_is_closed_leaves_no_snapshot_behind(
    when: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs: list[Callable[[], Message | None]] = []

    class Child:
        def __init__(self, command: object, receive: object, silent: int) -> None:
            self.send_later = jobs.append

        def let_files_arrive(self, folder: Path) -> None:
            pass

        def close(self, wait: bool) -> None:
            pass

    def save(path: Path, snapshot: Snapshot) -> None:
        path.write_bytes(b"frozen")
        trainer.close()

    monkeypatch.setattr(client, "Child", Child)
    monkeypatch.setattr(client, "save_snapshot", save)
    trainer = client.TrainerClient(lambda message: None)
    trainer.learn(Snapshot(()), tmp_path, Learn(str(tmp_path / "s.npz"), "", str(tmp_path)))
    if when == "before it is written":
        trainer.close()
    (freeze,) = jobs
    assert freeze() is None
    assert not list(tmp_path.iterdir())
