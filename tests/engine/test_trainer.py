"""What a real trainer tells on the way, and how it pauses."""

from __future__ import annotations

import queue
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_crii.checkpoint import Checkpoint, load_checkpoint
from napari_crii.device import VARIABLE
from napari_crii.engine import trainer as module
from napari_crii.engine.child import Child
from napari_crii.engine.command import TRAINER, local_command
from napari_crii.engine.messages import (
    Closed,
    Failed,
    Learn,
    LearningChecked,
    LearningFinished,
    LearningStepped,
    Message,
    Notice,
    PauseLearning,
    Ready,
    StopLearning,
)
from napari_crii.engine.trainer import Wishes
from napari_crii.errors import CheckpointError
from napari_crii.snapshot import LabelledSlice, Snapshot, save_snapshot
from napari_crii.training import FinishReason
from napari_crii.training.tick import TickResult
from napari_crii.volume import IntensityStats
from tests.engine.waiting import Inbox
from tests.faults.learning import PatientInbox, hurry

alone = [pytest.mark.alone, pytest.mark.usefixtures("no_child_is_left")]


class Pipe:
    """A channel into which a test puts what the window says."""

    def __init__(self, *messages: Message | None) -> None:
        self.messages = list(messages)

    def receive(self, wait: bool) -> Message | None:
        if not self.messages:
            raise queue.Empty
        return self.messages.pop(0)


def test_a_pause_holds_until_it_is_taken_back_and_anything_else_stops() -> None:
    pipe = Pipe()
    wishes = Wishes(pipe)
    assert not wishes.paused()
    pipe.messages += [PauseLearning(True)]
    assert wishes.paused()
    assert wishes.paused()
    assert not wishes.stopped()
    pipe.messages += [PauseLearning(False)]
    assert not wishes.paused()
    for last in (StopLearning(), None):
        wishes = Wishes(Pipe(PauseLearning(True), last))
        assert not wishes.paused()
        assert wishes.stopped()


def snapshot(checks: int) -> Snapshot:
    image = np.random.default_rng(0).normal(0, 1, (1, 40, 50)).astype(np.float32)
    labels = (image[0] > 0.5).astype(np.uint8)
    weights = np.ones(labels.shape, dtype=np.float32)
    slices = [
        LabelledSlice(image, labels, weights, IntensityStats.of(image), validation=i > 0)
        for i in range(checks + 1)
    ]
    return Snapshot(tuple(slices))


def started(folder: Path, weights: Path, checks: int = 0, **changes: object) -> tuple[Child, Inbox]:
    save_snapshot(folder / "s.npz", snapshot(checks))
    settings = {"iterations": 5, **changes}
    request = Learn(str(folder / "s.npz"), str(weights), str(folder / "new"), **settings)  # type: ignore[arg-type]
    (folder / "new").mkdir()
    inbox = PatientInbox()
    child = Child(local_command(TRAINER), inbox.arrived.put)
    inbox.until(Ready)
    hurry(child.pid or 0)
    child.send(request)
    return child, inbox


def ended(child: Child, inbox: Inbox) -> None:
    assert inbox.until(Closed)[-1] == Closed(0)
    child.close(wait=True)


def silent(inbox: Inbox, seconds: float = 4) -> bool:
    """Return once nothing has arrived for some seconds, False if that never comes."""
    for _ in range(100):
        try:
            inbox.arrived.get(timeout=seconds)
        except queue.Empty:
            return True
    return False


def test_a_device_that_fails_leaves_learning_to_the_processor(
    tmp_path: Path, weights: tuple[Path, Checkpoint]
) -> None:
    save_snapshot(tmp_path / "s.npz", snapshot(0))
    request = Learn(str(tmp_path / "s.npz"), str(weights[0]), str(tmp_path), iterations=2)
    wishes = Wishes(Pipe())
    # Tensors without memory: whoever reads what was computed raises.
    said = list(module.learn_where_it_works(wishes, request, torch.device("meta")))
    assert said[0] == Notice("Learning failed on meta and began anew on the processor.")
    assert said[1] == Ready("cpu")
    assert isinstance(said[-1], LearningFinished)
    assert load_checkpoint(said[-1].checkpoint).provenance["parent"] == weights[1].digest


def test_what_fails_on_the_processor_is_not_hidden(tmp_path: Path) -> None:
    request = Learn("", str(tmp_path / "no.safetensors"), str(tmp_path))
    wishes = Wishes(Pipe())
    with pytest.raises(CheckpointError):
        list(module.learn_where_it_works(wishes, request, torch.device("cpu")))


class TestChild:
    pytestmark = alone

    def test_it_tells_checks_memory_and_scores_on_the_way(
        self, tmp_path: Path, weights: tuple[Path, Checkpoint]
    ) -> None:
        child, inbox = started(tmp_path, weights[0], checks=3, preset="plus")
        said = inbox.until(LearningFinished, Failed)
        checks = [m for m in said if isinstance(m, LearningChecked)]
        assert [(m.step, m.slices) for m in checks] == [(i, 3) for i in range(6)]
        steps = [m for m in said if isinstance(m, LearningStepped)]
        assert all(50 < m.memory_mb < 100_000 for m in steps)
        end = said[-1]
        assert isinstance(end, LearningFinished)
        assert (end.before, end.after, end.check_slices) == (checks[0].dice, checks[-1].dice, 3)
        assert load_checkpoint(end.checkpoint).provenance["parent"] == weights[1].digest
        ended(child, inbox)

    def test_it_pauses_between_steps_goes_on_and_stops_while_it_pauses(
        self, tmp_path: Path, weights: tuple[Path, Checkpoint]
    ) -> None:
        child, inbox = started(tmp_path, weights[0], iterations=10_000)
        inbox.until(LearningStepped)
        child.send(PauseLearning(True))
        assert silent(inbox)
        child.send(PauseLearning(False))
        inbox.until(LearningStepped)
        child.send(PauseLearning(True))
        child.send(StopLearning())
        end = inbox.until(LearningFinished, Failed)[-1]
        assert isinstance(end, LearningFinished)
        assert (end.reason, end.checkpoint) == ("stopped", "")
        assert list((tmp_path / "new").iterdir()) == []
        ended(child, inbox)

    @pytest.mark.parametrize(
        ("changes", "words"),
        [({"preset": "magic"}, "no preset 'magic'"), ({"learning_rate": 7.0}, "out of range")],
    )
    def test_what_cannot_be_followed_is_said(
        self, changes: dict[str, object], words: str, tmp_path: Path, weights: tuple[Path, object]
    ) -> None:
        child, inbox = started(tmp_path, weights[0], **changes)
        end = inbox.until(LearningFinished, Failed)[-1]
        assert isinstance(end, Failed)
        assert words in end.message
        ended(child, inbox)

    def test_a_device_that_is_not_there_is_said(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(VARIABLE, "abacus")
        inbox = PatientInbox()
        child = Child(local_command(TRAINER), inbox.arrived.put)
        end = inbox.until(Ready, Failed)[-1]
        assert isinstance(end, Failed)
        assert "no device 'abacus'" in end.message
        ended(child, inbox)


def no_room(*arguments: object) -> None:
    raise MemoryError


def said_in_this_process(request: Learn, monkeypatch: pytest.MonkeyPatch) -> list[Message]:
    """Return what a trainer says of a request, whose process is ours."""
    sent: list[Message] = []

    class Channel(Pipe):
        send = staticmethod(sent.append)
        beat = staticmethod(lambda: None)

    monkeypatch.setattr(module, "Channel", lambda: Channel(request))
    monkeypatch.setattr(module, "yield_to", lambda whom: None)
    monkeypatch.setattr(module.torch, "set_num_threads", lambda count: None)
    module.main()
    assert isinstance(sent[0], Ready)
    return sent[1:]


NO_MEMORY = LearningFinished(
    "failed", "", "Memory ran out: close other programs, then learn again."
)


def test_memory_that_is_too_small_from_the_start_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    request = Learn(str(tmp_path / "s.npz"), "", str(tmp_path), classes=("a",))
    monkeypatch.setattr(module, "load_snapshot", no_room)
    assert said_in_this_process(request, monkeypatch) == [NO_MEMORY]


def test_memory_that_runs_out_while_weights_are_published_is_said_and_nothing_remains(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, weights: tuple[Path, Checkpoint]
) -> None:
    folder = tmp_path / "published"
    folder.mkdir()
    result = TickResult(FinishReason.COMPLETED, weights[1], "")
    monkeypatch.setattr(module, "load_snapshot", lambda path: Snapshot(()))
    monkeypatch.setattr(module, "run_tick", lambda *given: iter([result]))
    # The very last thing before the new name.
    monkeypatch.setattr("napari_crii.checkpoint.verified_info", no_room)
    request = Learn(str(tmp_path / "s.npz"), "", str(folder), classes=("a",))
    assert said_in_this_process(request, monkeypatch) == [NO_MEMORY]
    assert list(folder.iterdir()) == []
