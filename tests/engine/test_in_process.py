"""The engine on a channel in memory: what it makes of messages that come while it computes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_crii.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from napari_crii.engine.channel import MemoryChannel
from napari_crii.engine.client import collect
from napari_crii.engine.in_process import InProcess, engine_in_process
from napari_crii.engine.messages import (
    Cancel,
    CheckpointInUse,
    Closed,
    Failed,
    ForgetScans,
    Message,
    Notice,
    OpenScan,
    ProposalFinished,
    Propose,
    Ready,
    SliceProposed,
    UseCheckpoint,
)
from napari_crii.engine.worker import Engine
from napari_crii.inference import Prediction, Predictor
from napari_crii.networks import BranchLogits, CRIINet
from napari_crii.volume import Volume
from tests.engine.waiting import Inbox
from tests.factories import noise_scan, small_checkpoint

SCAN = noise_scan(shape=(5, 20, 26))


@pytest.fixture
def other(tmp_path: Path) -> tuple[Path, Checkpoint]:
    path = tmp_path / "b.safetensors"
    save_checkpoint(path, small_checkpoint(classes=3, seed=5))
    return path, load_checkpoint(path)


class Run:
    """An engine that is sent messages at the moments when it computes certain slices."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path, weights: Path) -> None:
        np.save(folder / "0.npy", SCAN.slices())
        self.sent: list[Message] = []
        self.computed: list[int] = []
        self.during: dict[int, list[Message]] = {}
        self.channel = MemoryChannel(self.sent.append)
        self.channel.put(UseCheckpoint(str(weights), 1))
        self.channel.put(OpenScan("a", str(folder / "0.npy"), SCAN.slice_spacing, "mm"))
        predict = Predictor.predict_slice

        def watched(predictor: Predictor, volume: Volume, index: int) -> Prediction:
            self.computed.append(index)
            for message in self.during.pop(len(self.computed), []):
                self.channel.put(message)
            return predict(predictor, volume, index)

        monkeypatch.setattr(Predictor, "predict_slice", watched)

    def __call__(self, *messages: Message) -> list[tuple[int, int]]:
        """Return the slices proposed, with their requests."""
        for message in messages:
            self.channel.put(message)
        engine = Engine(self.channel)
        hear = engine._hear

        # The end comes when there is nothing left to do.
        def hear_or_end(wait: bool) -> None:
            if wait and self.channel._inbox.empty():
                self.channel.end()
            hear(wait)

        engine._hear = hear_or_end  # type: ignore[method-assign]
        engine.run()
        return [(m.slice, m.request) for m in self.sent if isinstance(m, SliceProposed)]

    def finished(self) -> list[int]:
        return [m.request for m in self.sent if isinstance(m, ProposalFinished)]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, weights: tuple[Path, Checkpoint]) -> Run:
    return Run(monkeypatch, tmp_path, weights[0])


def test_a_slice_asked_for_again_while_it_is_computed_is_computed_once(run: Run) -> None:
    run.during = {2: [Propose(2, "a", (1, 4))]}
    assert run(Propose(1, "a", (0, 1, 2))) == [(0, 1), (1, 2), (4, 2), (2, 1)]
    assert run.computed == [0, 1, 4, 2]
    assert run.finished() == [2, 1]


def test_an_overtaken_request_is_finished_when_nothing_is_left_of_it(run: Run) -> None:
    assert run(Propose(1, "a", (1, 2)), Propose(2, "a", (2, 1))) == [(2, 2), (1, 2)]
    assert run.finished() == [1, 2]


def test_after_new_weights_a_slice_asked_for_again_is_computed_anew(
    run: Run, other: tuple[Path, Checkpoint]
) -> None:
    run.during = {1: [UseCheckpoint(str(other[0]), 2), Propose(2, "a", (0,))]}
    assert run(Propose(1, "a", (0, 1))) == [(0, 2), (1, 1)]
    assert run.computed == [0, 0, 1]
    made = [m.checkpoint for m in run.sent if isinstance(m, SliceProposed)]
    assert made == [other[1].digest] * 2


def test_no_proposal_of_older_weights_follows_new_ones(
    run: Run, weights: tuple[Path, Checkpoint], other: tuple[Path, Checkpoint]
) -> None:
    run.during = {2: [UseCheckpoint(str(other[0]), 2)]}
    assert run(Propose(1, "a", (0, 1))) == [(0, 1), (1, 1)]
    assert run.computed == [0, 1, 1]
    told = [m for m in run.sent if isinstance(m, SliceProposed | CheckpointInUse)]
    made = [m.checkpoint if isinstance(m, SliceProposed) else m.digest for m in told]
    assert made == [weights[1].digest] * 2 + [other[1].digest] * 2
    in_use = [m for m in run.sent if isinstance(m, CheckpointInUse)]
    assert [(m.digest, m.number) for m in in_use] == [(weights[1].digest, 1), (other[1].digest, 2)]


def test_a_slice_that_is_cancelled_while_it_is_computed_is_not_sent(run: Run) -> None:
    run.during = {2: [Cancel()]}
    assert run(Propose(1, "a", (0, 1, 2))) == [(0, 1)]
    assert run.finished() == []


def test_another_scan_replaces_the_one_before(run: Run) -> None:
    run.during = {1: [OpenScan("b", *_rest(run)), Propose(2, "b", (3,))]}
    assert run(Propose(1, "a", (0, 1, 2))) == [(3, 2)]
    assert run.finished() == [2]


def test_forgotten_scans_are_let_go_of_with_what_was_wanted_of_them(
    run: Run, tmp_path: Path
) -> None:
    run.during = {2: [ForgetScans()]}
    assert run(Propose(1, "a", (0, 1, 2)), Propose(2, "a", (3,))) == [(3, 2)]
    assert run.computed == [3, 0]
    assert run.finished() == [2]
    # A file is for whoever wrote it to remove.
    assert (tmp_path / "0.npy").exists()


def test_nothing_is_proposed_of_a_scan_that_was_forgotten(run: Run) -> None:
    assert run(Propose(1, "a", (0,)), ForgetScans(), Propose(2, "a", (1,))) == []
    (failed,) = [m for m in run.sent if isinstance(m, Failed)]
    assert failed.request == 2


def _rest(run: Run) -> tuple[str, tuple[float, ...], str]:
    opened = run.channel._inbox.get()
    scan = run.channel._inbox.get()
    assert isinstance(scan, OpenScan)
    run.channel.put(opened)  # type: ignore[arg-type]
    run.channel.put(scan)
    return scan.array, scan.spacing, scan.unit


def test_a_request_that_fails_ends_and_the_others_go_on(run: Run) -> None:
    run.during = {1: [Propose(2, "a", (9, 3))]}
    assert run(Propose(1, "a", (0, 1))) == [(0, 1), (1, 1)]
    failures = [m for m in run.sent if isinstance(m, Failed)]
    assert [m.request for m in failures] == [2]
    assert run.finished() == [1]


def test_a_client_without_a_child_proposes_as_the_predictor_does(
    weights: tuple[Path, Checkpoint],
) -> None:
    inbox = Inbox()
    client = engine_in_process(inbox.arrived.put)
    client.use_checkpoint(weights[0])
    client.open_scan("a", SCAN)
    client.propose("a", [4, 2])
    messages = inbox.until(ProposalFinished, Failed)
    assert isinstance(messages[0], Ready)
    predictor = Predictor(weights[1])
    for message in (m for m in messages if isinstance(m, SliceProposed)):
        expected = predictor.predict_slice(SCAN, message.slice).labels()
        assert np.array_equal(collect(message).labels, expected)
    client.use_checkpoint(Path("none.safetensors"))
    assert isinstance(inbox.until(Failed)[-1], Failed)
    client.close(wait=True)
    assert inbox.until(Closed)[-1] == Closed(0)
    assert not client.folder.exists()


def served(serve: Callable[[MemoryChannel], None]) -> list[Message]:
    inbox = Inbox()
    process = InProcess(serve, inbox.arrived.put)  # type: ignore[arg-type]
    process.send(Cancel())
    process.close(wait=True)
    return inbox.until(Closed)


def test_whatever_serves_a_channel_runs_in_process() -> None:
    def echo(channel: MemoryChannel) -> None:
        while (message := channel.receive(wait=True)) is not None:
            channel.send(message)

    assert served(echo) == [Cancel(), Closed(0)]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_defect_ends_it_and_is_told_as_a_death() -> None:
    def broken(channel: MemoryChannel) -> None:
        raise RuntimeError("a defect")

    assert served(broken) == [Closed(1)]


def test_memory_that_runs_out_is_said_once_and_every_slice_is_proposed(
    monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    forward = CRIINet.forward

    def short(network: CRIINet, image: torch.Tensor) -> BranchLogits:
        if len(image) > 1:
            raise torch.OutOfMemoryError("out of memory")
        return forward(network, image)

    monkeypatch.setattr(CRIINet, "forward", short)
    found = run(Propose(1, "a", (2, 3)))
    assert found == [(2, 1), (3, 1)]
    notices = [message.text for message in run.sent if isinstance(message, Notice)]
    assert notices == ["Memory ran out; proposals are computed one view at a time from here on."]
