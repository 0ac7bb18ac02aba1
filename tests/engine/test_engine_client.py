"""The window's end of a real engine: what it proposes, what it refuses, and how it ends."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from napari_crii.checkpoint import Checkpoint
from napari_crii.disagreement import disagreement
from napari_crii.edges import edge_distance
from napari_crii.engine.client import EngineClient, collect
from napari_crii.engine.messages import (
    CheckpointInUse,
    Closed,
    Failed,
    Message,
    ProposalFinished,
    Ready,
    SliceProposed,
)
from napari_crii.inference import Predictor
from napari_crii.patches import Box, Patch, Reason
from napari_crii.phantom import make_phantom
from napari_crii.ranking import low_contrast_tiles
from napari_crii.session.proposals import LOW_CONTRAST, NEAR_EDGE
from napari_crii.volume import Volume
from tests.engine.waiting import Inbox, eventually
from tests.factories import noise_scan

pytestmark = [pytest.mark.alone, pytest.mark.usefixtures("no_child_is_left")]

LONG = noise_scan(shape=(300, 20, 26))


@pytest.fixture(scope="module")
def scan() -> Volume:
    return make_phantom((6, 40, 50))[0]


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


def test_a_patch_is_proposed_with_its_whole_slice(shared: tuple[EngineClient, Inbox]) -> None:
    client, inbox = shared
    number = client.propose_patch("phantom", Patch(2, Box(3, 4, 9, 9), 0.5, Reason.REGION))
    (found,) = proposals(inbox.until(ProposalFinished, Failed))
    assert (found.request, found.slice) == (number, 2)
    assert collect(found).labels.shape == (40, 50)


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
        doubt = disagreement(prediction.coarse, prediction.refined)
        assert np.mean(proposal.labels == prediction.labels()) > 0.999
        assert proposal.labels.dtype == proposal.score.dtype == np.uint8
        assert np.abs(proposal.score / 255 - doubt.score).max() < 0.005
        assert proposal.branches is not None
        assert np.abs((proposal.branches / 255) ** 2 - doubt.branches).max() < 0.005
        labels, image = proposal.labels, scan.slices()[message.slice]
        faint = low_contrast_tiles(doubt.score, labels, image, weights[1].low_contrast)
        near = edge_distance(labels) <= 3
        assert np.array_equal(proposal.places, near * NEAR_EDGE + faint * LOW_CONTRAST)
        assert near.any()
        assert proposal.checkpoint == weights[1].digest
        assert proposal.slice == message.slice


def test_collecting_deletes_the_files(shared: tuple[EngineClient, Inbox]) -> None:
    client, inbox = shared
    client.propose("phantom", [1])
    (message,) = proposals(inbox.until(ProposalFinished))
    assert Path(message.labels).parent == client.folder
    collect(message)
    assert not Path(message.labels).exists()
    assert not Path(message.maps).exists()
    with pytest.raises(OSError, match="labels"):
        collect(message)


def test_the_latest_request_wins_for_each_slice_that_it_names(
    shared: tuple[EngineClient, Inbox],
) -> None:
    client, inbox = shared
    client.open_scan("long", LONG)
    first = client.propose("long", range(300))
    arrived = proposals(inbox.until(SliceProposed))
    second = client.propose("long", [299, 298])
    messages = inbox.until(ProposalFinished)
    assert messages[-1].request == second  # type: ignore[union-attr]
    arrived += proposals(messages)
    assert [m.slice for m in arrived if m.request == second] == [299, 298]
    # What was asked for besides follows.
    messages = inbox.until(ProposalFinished)
    assert messages[-1].request == first  # type: ignore[union-attr]
    arrived += proposals(messages)
    assert sorted(m.slice for m in arrived) == list(range(300))
    assert {m.slice for m in arrived if m.request == first} == set(range(298))


def test_cancelling_stops_between_slices(shared: tuple[EngineClient, Inbox]) -> None:
    client, inbox = shared
    client.open_scan("long", LONG)
    client.propose("long", range(300))
    inbox.until(SliceProposed)
    client.cancel()
    last = client.propose("phantom", [])
    messages = inbox.until(ProposalFinished)
    assert messages[-1].request == last  # type: ignore[union-attr]
    assert len(proposals(messages)) < 299


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
    weights: tuple[Path, Checkpoint],
) -> None:
    inbox = Inbox()
    client = EngineClient(inbox.arrived.put)
    client.use_checkpoint(weights[0])
    client.open_scan("long", LONG)
    client.propose("long", range(300))
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


def test_a_client_that_never_asked_anything_starts_no_child() -> None:
    client = EngineClient(lambda _: None)
    folder = client.folder
    client.cancel()
    assert client.pid is None
    client.close()
    client.close()
    assert not folder.exists()
