"""An engine and a trainer that do not see the window's files: all goes through the pipe."""

from __future__ import annotations

import shlex
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from napari_crii.checkpoint import Checkpoint, load_checkpoint
from napari_crii.engine.child import Child
from napari_crii.engine.client import EngineClient, TrainerClient, collect
from napari_crii.engine.command import ENGINE, VARIABLE, Command
from napari_crii.engine.messages import (
    CheckpointInUse,
    Closed,
    Failed,
    Learn,
    LearningFinished,
    LearningStepped,
    ProposalFinished,
    SliceProposed,
    UseCheckpoint,
)
from napari_crii.inference import Predictor
from napari_crii.volume import Volume
from tests.engine.test_trainer_client import corrected
from tests.engine.waiting import Inbox, eventually
from tests.factories import noise_scan

pytestmark = [pytest.mark.alone, pytest.mark.usefixtures("no_child_is_left")]

WRAPPER = Path(__file__).with_name("elsewhere.py")
SCAN = noise_scan(1, (300, 20, 26))


@pytest.fixture
def window(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the folder in which the window's files lie, hidden from its children."""
    window, there = tmp_path / "window", tmp_path / "there"
    window.mkdir()
    there.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(window))
    words = (sys.executable, str(WRAPPER), str(window), str(there))
    monkeypatch.setenv(VARIABLE, shlex.join(words))
    yield window
    # Nothing of a patient stays on the other machine.
    assert eventually(lambda: not list(there.glob("napari-crii-*"))), [*there.iterdir()]


@pytest.fixture
def here(window: Path, weights: tuple[Path, Checkpoint]) -> Path:
    """Return weights among the window's files."""
    path = window / "my weights.safetensors"
    path.write_bytes(weights[0].read_bytes())
    return path


def descendants() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def gone(processes: list[psutil.Process]) -> bool:
    return eventually(
        lambda: not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes)
    )


def test_the_window_s_files_are_hidden_from_the_stand_in(window: Path, here: Path) -> None:
    there = window.with_name("there")
    program = (sys.executable, str(WRAPPER), str(window), str(there))
    inbox = Inbox()
    child = Child(
        Command(ENGINE, (*program, "napari_crii.engine.launch", "engine")), inbox.arrived.put
    )
    child.send(UseCheckpoint(str(here)))
    assert isinstance(inbox.until(Failed, CheckpointInUse)[-1], Failed)
    child.close(wait=True)


def test_slices_are_proposed_as_on_this_machine(
    window: Path, here: Path, weights: tuple[Path, Checkpoint]
) -> None:
    inbox = Inbox()
    client = EngineClient(inbox.arrived.put)
    client.use_checkpoint(here)
    client.open_scan("noise", SCAN)
    client.propose("noise", [7, 299])
    messages = inbox.until(ProposalFinished, Failed)
    proposed = [m for m in messages if isinstance(m, SliceProposed)]
    assert [m.slice for m in proposed] == [7, 299]
    predictor = Predictor(weights[1])
    for message in proposed:
        assert Path(message.labels).parent == client.folder
        proposal = collect(message)
        expected = predictor.predict_slice(SCAN, message.slice).labels()
        assert np.mean(proposal.labels == expected) > 0.99
        assert proposal.checkpoint == weights[1].digest
    # The user's own file has gone through the pipe, and is still here.
    assert here.exists()
    client.use_checkpoint(window / "none.safetensors")
    failure = inbox.until(Failed)[-1]
    assert isinstance(failure, Failed)
    assert failure.message == "none.safetensors cannot be sent: the folder does not exist"
    assert failure.checkpoint > 0
    client.propose("noise", [1])
    assert isinstance(inbox.until(ProposalFinished, Failed)[-1], ProposalFinished)
    client.close(wait=True)
    assert inbox.until(Closed)[-1] == Closed(0)


def test_scans_that_are_let_go_of_or_read_again_leave_no_file_there(
    window: Path, here: Path
) -> None:
    inbox = Inbox()
    client = EngineClient(inbox.arrived.put)
    client.use_checkpoint(here)

    def proposed(key: str, volume: Volume) -> list[Path]:
        """Propose a slice; return the scans' files on the other machine."""
        client.open_scan(key, volume)
        client.propose(key, [1])
        assert isinstance(inbox.until(ProposalFinished, Failed)[-1], ProposalFinished)
        return [*window.with_name("there").glob("napari-crii-*/?.npy")]

    assert len(proposed("noise", SCAN)) == 1
    assert len(proposed("noise", noise_scan(shape=(4, 20, 26)))) == 1
    assert len(proposed("other", noise_scan(shape=(5, 20, 26)))) == 2
    client.forget_scans()
    assert len(proposed("noise", SCAN)) == 1
    client.close(wait=True)


def busy(weights: Path) -> tuple[EngineClient, Inbox]:
    """Return a client whose engine proposes many slices, and what it says."""
    inbox = Inbox()
    client = EngineClient(inbox.arrived.put)
    client.use_checkpoint(weights)
    client.open_scan("noise", SCAN)
    client.propose("noise", range(300))
    inbox.until(SliceProposed)
    return client, inbox


def test_a_busy_engine_ends_with_its_window(window: Path, here: Path) -> None:
    client, inbox = busy(here)
    processes = descendants()
    assert len(processes) == 3
    client.close()
    assert gone(processes)
    assert inbox.until(Closed)[-1] == Closed(0)


def test_the_other_side_of_a_broken_connection_ends_too(window: Path, here: Path) -> None:
    client, inbox = busy(here)
    processes = descendants()
    (connection,) = psutil.Process().children()
    client.cancel()
    connection.kill()
    inbox.until(Closed)
    assert gone(processes)
    client.close(wait=True)


def test_the_other_side_ends_while_its_libraries_are_still_loaded(window: Path, here: Path) -> None:
    inbox = Inbox()
    client = EngineClient(inbox.arrived.put)
    client.use_checkpoint(here)
    client.open_scan("noise", SCAN)
    client.propose("noise", [0])
    assert eventually(lambda: len(descendants()) == 3)
    processes = descendants()
    (connection,) = psutil.Process().children()
    client.cancel()
    connection.kill()
    assert gone(processes)
    client.close(wait=True)
    assert not [message for message in inbox.until(Closed) if isinstance(message, SliceProposed)]


def test_the_trainer_learns_elsewhere_and_its_weights_arrive(
    window: Path, here: Path, weights: tuple[Path, Checkpoint]
) -> None:
    inbox = Inbox()
    trainer = TrainerClient(inbox.arrived.put)
    folder = window / "learnt"
    request = Learn(str(folder / "s.npz"), str(here), str(folder), 2, 1e-3)
    trainer.learn(corrected(), folder, request)
    messages = inbox.until(LearningFinished, Failed)
    assert len([m for m in messages if isinstance(m, LearningStepped)]) == 2
    finished = messages[-1]
    assert isinstance(finished, LearningFinished)
    tuned = load_checkpoint(finished.checkpoint)
    assert Path(finished.checkpoint) == folder / f"crii-{tuned.digest[:16]}.safetensors"
    assert tuned.provenance["parent"] == weights[1].digest
    trainer.close(wait=True)
    assert inbox.until(Closed)[-1] == Closed(0)
