"""The window's end and the real children."""

from __future__ import annotations

import gc
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from napari_crii.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from napari_crii.disagreement import disagreement
from napari_crii.engine.child import Child
from napari_crii.engine.client import ENGINE, EngineClient, TrainerClient, collect
from napari_crii.engine.messages import (
    CheckpointInUse,
    Closed,
    Failed,
    Learn,
    LearningFinished,
    LearningStepped,
    Message,
    ProposalFinished,
    Propose,
    Ready,
    SliceProposed,
    UseCheckpoint,
)
from napari_crii.inference import Predictor
from napari_crii.phantom import make_phantom
from napari_crii.snapshot import LabelledSlice, Snapshot
from napari_crii.volume import IntensityStats, Volume
from tests.engine.inbox import Inbox
from tests.factories import noise_scan, small_checkpoint

pytestmark = pytest.mark.alone


def eventually(condition: Callable[[], bool], seconds: float = 15) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


@pytest.fixture(scope="module")
def scan() -> Volume:
    return make_phantom((6, 40, 50))[0]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Checkpoint]:
    path = tmp_path_factory.mktemp("weights") / "a.safetensors"
    save_checkpoint(path, small_checkpoint(classes=3))
    return path, load_checkpoint(path)


@pytest.fixture(scope="module")
def shared(scan: Volume, weights: tuple[Path, Checkpoint]) -> Iterator[tuple[EngineClient, Inbox]]:
    """Return an engine that several tests use, one after the other."""
    inbox = Inbox()
    client = EngineClient(inbox.arrived.put)
    client.use_checkpoint(weights[0])
    client.open_scan("phantom", scan)
    assert isinstance(inbox.until(CheckpointInUse)[0], Ready)
    yield client, inbox
    client.close(wait=True)


def proposals(messages: list[Message]) -> list[SliceProposed]:
    return [m for m in messages if isinstance(m, SliceProposed)]


def test_slices_are_proposed_in_the_order_asked_for_as_the_predictor_would(
    shared: tuple[EngineClient, Inbox], scan: Volume, weights: tuple[Path, Checkpoint]
) -> None:
    client, inbox = shared
    number = client.propose("phantom", [4, 0, 3])
    messages = inbox.until(ProposalFinished, Failed)
    found = proposals(messages)
    assert [m.slice for m in found] == [4, 0, 3]
    assert {m.request for m in found} == {number}
    finished = messages[-1]
    assert isinstance(finished, ProposalFinished)
    assert (finished.request, finished.scan) == (number, "phantom")
    predictor = Predictor(weights[1])
    for message in found:
        proposal = collect(message)
        prediction = predictor.predict_slice(scan, message.slice)
        score = disagreement(prediction.coarse, prediction.refined).score
        assert np.mean(proposal.labels == prediction.labels()) > 0.999
        assert proposal.labels.dtype == proposal.score.dtype == np.uint8
        assert np.abs(proposal.score / 255 - score).max() < 0.005
        assert proposal.checkpoint == weights[1].digest
        assert proposal.slice == message.slice


def test_collecting_deletes_the_files(shared: tuple[EngineClient, Inbox]) -> None:
    client, inbox = shared
    client.propose("phantom", [1])
    (message,) = proposals(inbox.until(ProposalFinished))
    assert Path(message.labels).parent == client.folder
    collect(message)
    assert not Path(message.labels).exists()
    assert not Path(message.score).exists()
    with pytest.raises(OSError, match="labels"):
        collect(message)


def test_the_latest_request_wins(shared: tuple[EngineClient, Inbox]) -> None:
    client, inbox = shared
    first = client.propose("phantom", list(range(6)) * 200)
    inbox.until(SliceProposed)
    second = client.propose("phantom", [5])
    messages = inbox.until(ProposalFinished)
    assert messages[-1].request == second  # type: ignore[union-attr]
    assert [m.request for m in proposals(messages)][-1] == second
    assert len([m for m in proposals(messages) if m.request == first]) < 600


def test_cancelling_stops_between_slices(shared: tuple[EngineClient, Inbox]) -> None:
    client, inbox = shared
    client.propose("phantom", list(range(6)) * 200)
    inbox.until(SliceProposed)
    client.cancel()
    last = client.propose("phantom", [])
    messages = inbox.until(ProposalFinished)
    assert messages[-1].request == last  # type: ignore[union-attr]
    assert len(proposals(messages)) < 600


def test_a_wrong_checkpoint_is_said_and_the_old_one_goes_on(
    shared: tuple[EngineClient, Inbox], tmp_path: Path, weights: tuple[Path, Checkpoint]
) -> None:
    client, inbox = shared
    wrong = tmp_path / "wrong.safetensors"
    wrong.write_text("no weights")
    client.use_checkpoint(wrong)
    client.propose("phantom", [2])
    messages = inbox.until(ProposalFinished)
    failures = [m for m in messages if isinstance(m, Failed)]
    assert len(failures) == 1
    assert "wrong.safetensors is not a checkpoint" in failures[0].message
    assert [m.checkpoint for m in proposals(messages)] == [weights[1].digest]
    client.use_checkpoint(weights[0])
    inbox.until(CheckpointInUse)


@pytest.mark.parametrize(("key", "index"), [("phantom", 6), ("phantom", -1), ("unknown", 0)])
def test_what_cannot_be_proposed_is_said_in_one_sentence(
    shared: tuple[EngineClient, Inbox], key: str, index: int
) -> None:
    client, inbox = shared
    client.propose(key, [index, 0])
    message = inbox.until(Failed, ProposalFinished)[-1]
    assert isinstance(message, Failed)
    assert "\n" not in message.message
    client.propose("phantom", [0])
    assert len(proposals(inbox.until(ProposalFinished))) == 1


def test_scans_with_other_slice_axes_and_colours_are_handed_over_right(
    shared: tuple[EngineClient, Inbox], weights: tuple[Path, Checkpoint]
) -> None:
    client, inbox = shared
    scans = {f"noise {axis}": noise_scan(axis, (3, 20, 26)) for axis in (0, 1, 2)}
    for key, volume in scans.items():
        client.open_scan(key, volume)
    predictor = Predictor(weights[1])
    for key, volume in scans.items():
        client.propose(key, [1])
        (message,) = proposals(inbox.until(ProposalFinished))
        expected = predictor.predict_slice(volume, 1).labels()
        assert np.mean(collect(message).labels == expected) > 0.99
    client.open_scan("colours", noise_scan(rgb=True))
    client.propose("colours", [0])
    message = inbox.until(Failed, ProposalFinished)[-1]
    assert isinstance(message, Failed)
    assert "colours" in message.message


def test_a_killed_engine_is_restarted_by_the_next_request_and_knows_everything(
    shared: tuple[EngineClient, Inbox],
) -> None:
    client, inbox = shared
    old = client.pid
    assert old is not None
    os.kill(old, signal.SIGKILL)
    assert inbox.until(Closed)[-1] == Closed(-signal.SIGKILL)
    assert client.pid is None
    client.propose("phantom", [3])
    messages = inbox.until(ProposalFinished, Failed)
    assert [m.slice for m in proposals(messages)] == [3]
    assert client.pid not in (old, None)


def test_an_engine_ends_while_it_proposes_and_leaves_no_file(
    scan: Volume, weights: tuple[Path, Checkpoint]
) -> None:
    inbox = Inbox()
    client = EngineClient(inbox.arrived.put)
    client.use_checkpoint(weights[0])
    client.open_scan("phantom", scan)
    client.propose("phantom", list(range(6)) * 500)
    inbox.until(SliceProposed)
    process, folder = psutil.Process(client.pid), client.folder
    client.close()
    assert eventually(lambda: not process.is_running(), 5)
    assert eventually(lambda: not folder.exists())


def test_a_forgotten_client_takes_its_child_along() -> None:
    inbox = Inbox()
    client = EngineClient(inbox.arrived.put)
    client.open_scan("noise", noise_scan())
    inbox.until(Ready)
    process, folder = psutil.Process(client.pid), client.folder
    assert process in psutil.Process().children()
    del client
    gc.collect()
    assert inbox.until(Closed)[-1] == Closed(0)
    assert eventually(lambda: not process.is_running())
    assert eventually(lambda: not folder.exists())


def test_a_full_disk_is_said_and_the_engine_goes_on(
    weights: tuple[Path, Checkpoint],
) -> None:
    inbox = Inbox()
    child = Child(ENGINE, inbox.arrived.put)

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
    child = Child(ENGINE, inbox.arrived.put)
    assert isinstance(inbox.until(Closed)[0], Failed)
    child.send(Propose(1, "a", (0,)))
    child.close(wait=True)
    assert child.pid is None


def test_a_client_that_never_asked_anything_starts_no_child() -> None:
    client = EngineClient(lambda _: None)
    folder = client.folder
    client.cancel()
    assert client.pid is None
    client.close()
    client.close()
    assert not folder.exists()


# --- the trainer


def corrected(slices: int = 1) -> Snapshot:
    image = np.random.default_rng(0).normal(0, 1, (1, 40, 50)).astype(np.float32)
    labels = (image[0] > 0.5).astype(np.uint8)
    weights = np.ones(labels.shape, dtype=np.float32)
    item = LabelledSlice(image, labels, weights, IntensityStats.of(image))
    return Snapshot((item,) * slices)


def learn(folder: Path, weights: Path | None, **changes: object) -> Learn:
    settings = {"iterations": 2, "learning_rate": 1e-3, **changes}
    return Learn(
        str(folder / "s.npz"),
        "" if weights is None else str(weights),
        str(folder),
        **settings,  # type: ignore[arg-type]
    )


def test_the_trainer_learns_at_lowest_priority_and_publishes_a_checkpoint(
    tmp_path: Path, weights: tuple[Path, Checkpoint]
) -> None:
    inbox = Inbox()
    trainer = TrainerClient(inbox.arrived.put)
    inbox.until(Ready)
    assert psutil.Process(trainer.pid).nice() == (
        psutil.IDLE_PRIORITY_CLASS if psutil.WINDOWS else 19
    )
    trainer.learn(corrected(), tmp_path / "new", learn(tmp_path / "new", weights[0]))
    messages = inbox.until(LearningFinished, Failed)
    steps = [m for m in messages if isinstance(m, LearningStepped)]
    assert [(m.step, m.total) for m in steps] == [(1, 2), (2, 2)]
    finished = messages[-1]
    assert isinstance(finished, LearningFinished)
    assert finished.reason == "completed"
    tuned = load_checkpoint(finished.checkpoint)
    assert tuned.provenance["parent"] == weights[1].digest
    assert tuned.digest != weights[1].digest
    assert Path(finished.checkpoint).parent == tmp_path / "new"
    trainer.close()
    assert inbox.until(Closed)[-1] == Closed(0)


def test_a_stopped_trainer_publishes_nothing(
    tmp_path: Path, weights: tuple[Path, Checkpoint]
) -> None:
    inbox = Inbox()
    trainer = TrainerClient(inbox.arrived.put)
    trainer.learn(corrected(), tmp_path, learn(tmp_path, weights[0], iterations=10_000))
    inbox.until(LearningStepped)
    trainer.stop()
    finished = inbox.until(LearningFinished, Failed)[-1]
    assert isinstance(finished, LearningFinished)
    assert (finished.reason, finished.checkpoint) == ("stopped", "")
    trainer.close(wait=True)
    assert [p.name for p in tmp_path.iterdir()] == ["s.npz"]
    assert inbox.until(Closed)[-1] == Closed(0)


@pytest.mark.parametrize(
    ("snapshot", "rule"), [(corrected(0), "nothing is annotated"), (None, "s.npz")]
)
def test_what_cannot_be_learnt_from_is_said_in_one_sentence(
    snapshot: Snapshot | None, rule: str, tmp_path: Path, weights: tuple[Path, Checkpoint]
) -> None:
    inbox = Inbox()
    trainer = TrainerClient(inbox.arrived.put)
    request = learn(tmp_path, weights[0])
    if snapshot is None:
        (tmp_path / "s.npz").mkdir()
    trainer.learn(snapshot or corrected(), tmp_path, request)
    failure = inbox.until(Failed, LearningFinished)[-1]
    assert isinstance(failure, Failed)
    assert rule in failure.message
    assert "\n" not in failure.message
    trainer.close(wait=True)
    assert inbox.until(Closed)


def test_without_weights_the_trainer_starts_a_new_network(tmp_path: Path) -> None:
    inbox = Inbox()
    trainer = TrainerClient(inbox.arrived.put)
    request = learn(tmp_path, None, classes=("cyst", "vessel"), iterations=1)
    trainer.learn(corrected(), tmp_path, request)
    finished = inbox.until(LearningFinished, Failed)[-1]
    assert isinstance(finished, LearningFinished)
    assert [c.name for c in load_checkpoint(finished.checkpoint).classes] == ["cyst", "vessel"]
    # A trainer ends by itself, and cleanly, when its run is over.
    assert inbox.until(Closed)[-1] == Closed(0)


def test_no_child_is_left(shared: tuple[EngineClient, Inbox]) -> None:
    gc.collect()

    def others() -> list[psutil.Process]:
        return [
            child
            for child in psutil.Process().children()
            if child.pid != shared[0].pid and child.status() != psutil.STATUS_ZOMBIE
        ]

    assert eventually(lambda: not others()), others()
