"""Engines that die, with stand-ins for them: what is started, when, and what it is told."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from napari_crii.engine import supervision
from napari_crii.engine.child import Job, Receiver
from napari_crii.engine.messages import (
    CheckpointInUse,
    Closed,
    Failed,
    FellBack,
    ForgetScans,
    Message,
    OpenScan,
    ProposalFinished,
    Propose,
    Ready,
    Restarting,
    SliceProposed,
    UseCheckpoint,
)
from napari_crii.engine.supervision import DEATHS_IN_A_ROW, Supervision, delay_after
from napari_crii.errors import EngineError
from tests.engine.waiting import eventually

SCAN = OpenScan("a", "0.npy", (1.0, 1.0, 1.0), "mm")


class StandIn:
    """An engine that does nothing but note what it is told."""

    def __init__(self, say: Receiver) -> None:
        self.pid: int | None = 4711
        self.say = say
        self.told: list[Message] = []
        self.closed = False

    def send(self, message: Message) -> None:
        self.told.append(message)

    def send_later(self, job: Job) -> None:
        message = job()
        if message is not None:
            self.told.append(message)

    def close(self, wait: bool = False) -> None:
        self.closed = True

    def dies(self) -> None:
        self.say(Closed(-9))

    def proposes(self, request: int, index: int) -> None:
        self.say(SliceProposed(request, "a", index, "", "", (), ""))


class Scene:
    """A supervision, its stand-ins in the order in which they started, and what is received."""

    def __init__(self) -> None:
        self.engines: list[StandIn] = []
        self.received: list[Message] = []
        self.supervision = Supervision(self._start, self.received.append)

    def _start(self, say: Receiver) -> StandIn:
        self.engines.append(StandIn(say))
        return self.engines[-1]

    def engine(self, number: int) -> StandIn:
        """Wait for the engine of this number, from 1."""
        assert eventually(lambda: len(self.engines) >= number)
        return self.engines[number - 1]

    def propose(self, request: int, *slices: int) -> None:
        self.supervision.ask(Propose(request, "a", slices))


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Return a scene in which delays are short."""
    monkeypatch.setattr(supervision, "delay_after", lambda deaths: 0.01 * deaths)
    return Scene()


def test_delays_double_up_to_the_longest() -> None:
    assert [delay_after(n) for n in range(8)] == [0, 1, 2, 4, 8, 16, 16, 16]


def test_what_is_left_is_asked_for_again_with_all_that_was_known(scene: Scene) -> None:
    scene.supervision.use_checkpoint(Path("w"))
    scene.supervision.open_scan("a", lambda: SCAN)
    scene.propose(1, 0, 1, 2, 3)
    scene.propose(2, 3)
    first = scene.engine(1)
    assert first.told[-2:] == [Propose(1, "a", (0, 1, 2, 3)), Propose(2, "a", (3,))]
    first.proposes(2, 3)
    first.say(ProposalFinished(2, "a", 1.0))
    first.proposes(1, 0)
    scene.propose(3, 2)
    first.dies()
    again = scene.engine(2)
    assert eventually(lambda: len(again.told) == 4)
    assert weights_told(again) == ["w"]
    assert again.told[1:] == [SCAN, Propose(1, "a", (1,)), Propose(3, "a", (2,))]
    assert scene.received[-1] == Restarting(1, 0.01)
    assert not any(isinstance(m, Closed | Failed) for m in scene.received)


def test_forgotten_scans_are_neither_told_again_nor_asked_about(scene: Scene) -> None:
    scene.supervision.open_scan("a", lambda: SCAN)
    scene.propose(1, 0, 1)
    first = scene.engine(1)
    scene.supervision.forget_scans()
    assert first.told[-1] == ForgetScans()
    first.dies()
    assert isinstance(scene.received[-1], Closed)
    assert len(scene.engines) == 1
    scene.propose(2, 3)
    assert scene.engine(2).told == [Propose(2, "a", (3,))]


def test_an_engine_of_another_version_is_said_and_waited_for_no_longer(scene: Scene) -> None:
    scene.propose(1, 0)
    scene.engine(1).say(Ready("cpu", protocol=1))
    (said,) = scene.received
    assert isinstance(said, Failed)
    assert "another version" in said.message
    scene.engine(1).dies()
    assert isinstance(scene.received[-1], Closed)


def test_an_engine_that_dies_on_every_start_is_given_up_in_one_sentence(scene: Scene) -> None:
    scene.propose(1, 0)
    for number in range(1, DEATHS_IN_A_ROW + 1):
        scene.engine(number).dies()
    *restarts, failed, closed = scene.received
    assert [m.attempt for m in restarts if isinstance(m, Restarting)] == [1, 2, 3, 4]
    assert isinstance(failed, Failed)
    assert "5 times in a row" in failed.message
    assert "\n" not in failed.message
    assert closed == Closed(-9)
    threading.Event().wait(0.2)
    assert len(scene.engines) == DEATHS_IN_A_ROW
    # The next question makes one more attempt.
    scene.propose(2, 0)
    scene.engine(6).dies()
    assert isinstance(scene.received[-2], Failed)
    scene.propose(3, 0)
    scene.engine(7).proposes(3, 0)
    scene.propose(4, 0)
    scene.engine(7).dies()
    assert scene.received[-1] == Restarting(1, 0.01)
    scene.engine(8)


def test_an_engine_that_dies_idle_is_started_by_the_next_question(scene: Scene) -> None:
    scene.propose(1, 0)
    scene.engine(1).proposes(1, 0)
    scene.engine(1).dies()
    assert scene.received[-1] == Closed(-9)
    assert scene.supervision.pid is None
    threading.Event().wait(0.1)
    assert len(scene.engines) == 1
    scene.propose(2, 0)
    assert scene.engine(2).told == [Propose(2, "a", (0,))]


def test_no_question_starts_an_engine_before_the_delay_is_over(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "delay_after", lambda deaths: 3600.0)
    scene.propose(1, 0)
    scene.engine(1).proposes(1, 0)
    scene.engine(1).dies()
    for request in (2, 3):
        scene.propose(request, 0)
        scene.supervision.use_checkpoint(Path("w"))
    threading.Event().wait(0.1)
    assert len(scene.engines) == 1
    scene.supervision.close()


def test_what_is_cancelled_is_not_asked_for_again(scene: Scene) -> None:
    scene.propose(1, 0, 1)
    scene.supervision.cancel()
    scene.engine(1).dies()
    assert scene.received == [Closed(-9)]


def test_a_program_that_does_not_exist_is_not_tried_again(scene: Scene) -> None:
    scene.propose(1, 0)
    scene.engine(1).pid = None
    scene.engine(1).say(Failed("cannot be started"))
    scene.engine(1).say(Closed(-1))
    threading.Event().wait(0.1)
    assert scene.received == [Failed("cannot be started"), Closed(-1)]
    assert len(scene.engines) == 1


def test_a_command_that_is_none_is_said() -> None:
    received: list[Message] = []

    def start(receive: Receiver) -> StandIn:
        raise EngineError("no command")

    supervised = Supervision(start, received.append)
    supervised.ask(Propose(1, "a", (0,)))
    assert received == [Failed("no command")]


def test_a_closed_supervision_starts_nothing(scene: Scene) -> None:
    scene.propose(1, 0)
    scene.engine(1).dies()
    assert scene.supervision.close() is None
    threading.Event().wait(0.1)
    scene.propose(2, 0)
    assert len(scene.engines) == 1


def test_closing_ends_the_engine(scene: Scene) -> None:
    scene.propose(1, 0)
    assert scene.supervision.close() is scene.engine(1)
    assert scene.engine(1).closed
    scene.engine(1).say(Closed(0))
    assert scene.received == [Closed(0)]


def last_told(engine: StandIn) -> int:
    """Return the number of the weights that an engine was told last."""
    return [m.number for m in engine.told if isinstance(m, UseCheckpoint)][-1]


def weights_told(engine: StandIn) -> list[str]:
    return [m.path for m in engine.told if isinstance(m, UseCheckpoint)]


def test_a_new_engine_proposes_from_the_last_good_weights(scene: Scene) -> None:
    scene.supervision.use_checkpoint(Path("good"))
    scene.engine(1).say(CheckpointInUse("g", last_told(scene.engine(1))))
    scene.supervision.use_checkpoint(Path("refused"))
    scene.engine(1).say(Failed("no checkpoint", checkpoint=last_told(scene.engine(1))))
    scene.supervision.use_checkpoint(Path("deadly"))
    scene.propose(1, 0)
    scene.engine(1).dies()
    second = scene.engine(2)
    assert eventually(lambda: weights_told(second) == ["good", "deadly"])
    second.dies()
    third = scene.engine(3)
    assert eventually(lambda: third.told[1:] == [Propose(1, "a", (0,))])
    assert weights_told(third) == ["good"]
    assert [m.message for m in scene.received if isinstance(m, Failed)] == ["no checkpoint"]
    assert [m for m in scene.received if isinstance(m, FellBack)] == [FellBack("deadly", "good")]


def test_weights_that_came_into_use_are_the_good_ones(scene: Scene) -> None:
    for name in ("old", "new"):
        scene.supervision.use_checkpoint(Path(name))
        scene.engine(1).say(CheckpointInUse(name, last_told(scene.engine(1))))
    scene.propose(1, 0)
    scene.engine(1).dies()
    again = scene.engine(2)
    assert eventually(lambda: weights_told(again) == ["new"])
