"""What a run does when memory runs out, and how it shares its device."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from napari_crii import device
from napari_crii.training import (
    Event,
    Finished,
    FinishReason,
    Remarked,
    Stepped,
    TrainingConfig,
    TrainingSlice,
    fit,
)
from napari_crii.training.fit import Learner, learner_of
from napari_crii.training.guard import Guard
from napari_crii.training.ladder import LastGood, Rung
from napari_crii.training.method import PLUS
from napari_crii.training.streams import StreamSampler, without_labels
from tests.factories import disc_slice, small_network

CPU = torch.device("cpu")

CONFIG = TrainingConfig(iterations=4, batch=8, crop=48)


def slices(count: int = 3) -> list[TrainingSlice]:
    rng = np.random.default_rng(1)
    return [disc_slice(rng) for _ in range(count)]


def learner(config: TrainingConfig = CONFIG, seed: int = 0) -> Learner:
    return learner_of(small_network(seed), slices(), config, np.random.default_rng(0))


def rungs(first: Rung) -> list[tuple[int, int]]:
    found, rung = [], first.below()
    while rung is not None:
        found.append((rung.batch, rung.crop))
        rung = rung.below()
    return found


def test_crops_get_fewer_then_smaller_in_multiples_of_16() -> None:
    assert rungs(Rung(8, 128)) == [(4, 128), (2, 128), (2, 64), (2, 32)]
    assert rungs(Rung(3, 80)) == [(2, 80), (2, 32)]
    assert rungs(Rung(6, 96)) == [(3, 96), (2, 96), (2, 48), (2, 32)]
    assert rungs(Rung(1, 48)) == [(1, 32)]
    assert rungs(Rung(2, 16)) == []


def test_a_smaller_rung_makes_smaller_batches_of_both_streams() -> None:
    config = replace(CONFIG, method=PLUS)
    data = slices() + without_labels(slices())
    sampler = StreamSampler(data, config, np.random.default_rng(0))
    sampler.shrink(Rung(2, 32))
    batch = sampler.draw()
    assert batch.labelled.images.shape == (2, 1, 32, 32)
    assert batch.unlabelled is not None
    assert batch.unlabelled.weak.shape == (2, 1, 32, 32)


def test_weights_come_back_to_the_bit() -> None:
    network = small_network()
    before = [p.detach().clone() for p in network.parameters()]
    good = LastGood(network.parameters())
    with torch.no_grad():
        for p in network.parameters():
            p.add_(1)
    good.restore()
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))


def short_of_memory(monkeypatch: pytest.MonkeyPatch, run: Learner, batch: int, crop: int) -> None:
    whole = run.network.forward_with_features

    def forward(images: torch.Tensor) -> object:
        if len(images) > batch or images.shape[-1] > crop:
            raise torch.OutOfMemoryError("out of memory")
        return whole(images)

    monkeypatch.setattr(run.network, "forward_with_features", forward)


@pytest.mark.usefixtures("threads")
def test_a_run_that_runs_out_of_memory_goes_on_with_less_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = learner()
    short_of_memory(monkeypatch, run, batch=2, crop=32)
    events = list(run.run())
    assert [event.text for event in events if isinstance(event, Remarked)] == [
        "Memory ran out; learning goes on with 4 crops of 48 pixels a step.",
        "Memory ran out; learning goes on with 2 crops of 48 pixels a step.",
        "Memory ran out; learning goes on with 2 crops of 32 pixels a step.",
    ]
    assert [event.step for event in events if isinstance(event, Stepped)] == [1, 2, 3, 4]
    assert events[-1] == Finished(FinishReason.COMPLETED, 4)


@pytest.mark.usefixtures("threads")
def test_where_nothing_fits_the_run_fails_in_words_with_the_old_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = learner()
    short_of_memory(monkeypatch, run, batch=0, crop=0)
    end = list(run.run())[-1]
    assert isinstance(end, Finished)
    assert end.reason is FinishReason.FAILED
    assert "memory ran out even with 2 crops of 32 pixels a step" in end.message
    pairs = zip(run.network.parameters(), small_network().parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_a_defect_is_no_shortage(monkeypatch: pytest.MonkeyPatch) -> None:
    run = learner()

    def forward(images: torch.Tensor) -> object:
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr(run.network, "forward_with_features", forward)
    with pytest.raises(RuntimeError, match="shapes"):
        list(run.run())


def test_a_run_without_shortage_is_the_same_as_before_to_the_bit() -> None:
    one, other = small_network(), small_network()
    list(fit(one, slices(), CONFIG, np.random.default_rng(0)))
    calls = []
    waits = lambda: bool(calls.append(1)) or len(calls) % 3 == 1  # noqa: E731
    list(fit(other, slices(), CONFIG, np.random.default_rng(0), wanted=waits))
    assert len(calls) > 8
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_float16_is_scaled_and_a_gradient_beyond_it_is_no_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(device, "half_type", lambda place: torch.float16)
    run = learner(replace(CONFIG, iterations=8, mixed_precision=True))
    scaler = run._step._scaler
    assert scaler.is_enabled()
    scaler.scale(torch.zeros(1))
    scaler.update(new_scale=1e30)
    events: list[Event] = list(run.run())
    assert events[-1] == Finished(FinishReason.COMPLETED, 8)
    assert scaler.get_scale() < 1e30
    assert all(bool(torch.isfinite(p).all()) for p in run.network.parameters())


def test_memory_that_runs_out_within_a_scaled_update_does_not_end_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(device, "half_type", lambda place: torch.float16)
    run = learner(replace(CONFIG, iterations=3, mixed_precision=True))
    clip = torch.nn.utils.clip_grad_norm_
    times = iter(range(100))

    def short_once(*arguments: Any, **others: Any) -> torch.Tensor:
        if next(times) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return clip(*arguments, **others)

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", short_once)
    scale = run._step._scaler.get_scale()
    events: list[Event] = list(run.run())
    assert events[-1] == Finished(FinishReason.COMPLETED, 3)
    assert [event.step for event in events if isinstance(event, Stepped)] == [1, 2, 3]
    assert run._step._scaler.get_scale() == scale


def test_weights_that_grow_beyond_measure_are_told() -> None:
    weights = [torch.ones(100), torch.ones(20)]
    guard = Guard(weights)
    assert guard.fault(1, 0.5) == ""
    for tensor in weights:
        tensor.mul_(11)
    assert guard.fault(2, 0.5) == "the weights grew to 11 times their size at step 2"
    weights[0][3] = float("nan")
    assert "no longer finite" in guard.fault(3, 0.5)
    assert "nan at step 4" in guard.fault(4, float("nan"))


def test_a_loss_that_rises_and_stays_is_told_and_a_spike_is_not() -> None:
    def faults(losses: list[float]) -> list[int]:
        guard = Guard([torch.ones(3)])
        return [step for step, loss in enumerate(losses, 1) if guard.fault(step, loss)]

    start = [1.2, 0.9, 1.0, 1.1, 1.0]
    assert faults([*start, *[9.0] * 9, 1.0, *[9.0] * 9]) == []
    assert faults([*start, *[9.0] * 10]) == [15]
    assert faults([*start, *[4.9] * 40]) == []
    assert faults([0.01] * 5 + [0.9] * 40) == []


@pytest.mark.parametrize("rate", [0.3, 0.6, 1.0])
def test_a_learning_rate_that_explodes_brings_the_old_weights_back(rate: float) -> None:
    network = small_network()
    config = replace(CONFIG, iterations=60, batch=2, learning_rate=rate)
    end = list(fit(network, slices(), config, np.random.default_rng(0)))[-1]
    assert isinstance(end, Finished)
    assert end.reason is FinishReason.FAILED
    pairs = zip(network.parameters(), small_network().parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
