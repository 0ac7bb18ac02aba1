from __future__ import annotations

import copy
import importlib
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from napari_crii.errors import TrainingError
from napari_crii.metrics import dice
from napari_crii.networks import CRIINet
from napari_crii.training import (
    Event,
    Finished,
    FinishReason,
    Stepped,
    TrainingConfig,
    TrainingSlice,
    fit,
)
from napari_crii.training.fit import _follow, learning_rate
from tests.factories import disc_slice, small_network

# The package's `fit` is the function; the module bears the same name.
LOOP = importlib.import_module("napari_crii.training.fit")
OBJECTIVES = importlib.import_module("napari_crii.training.objectives")
SHORT = TrainingConfig(iterations=4, batch=2, crop=32)


def slices(count: int = 3) -> list[TrainingSlice]:
    rng = np.random.default_rng(1)
    return [disc_slice(rng) for _ in range(count)]


def run(
    network: CRIINet, data: list[TrainingSlice], config: TrainingConfig = SHORT, seed: int = 0
) -> list[Event]:
    return list(fit(network, data, config, np.random.default_rng(seed)))


def same_weights(a: CRIINet, b: CRIINet) -> bool:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


@pytest.mark.usefixtures("threads")
def test_the_same_seed_gives_the_same_weights_whatever_else_draws() -> None:
    first, second, data = small_network(), small_network(), slices()
    run(first, data)
    torch.rand(17)
    run(second, data)
    assert same_weights(first, second)


def test_another_seed_gives_other_weights() -> None:
    first, second, data = small_network(), small_network(), slices()
    run(first, data)
    run(second, data, seed=1)
    assert not same_weights(first, second)


def test_training_leaves_the_global_chance_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    run(small_network(), slices())
    assert torch.equal(torch.rand(2), expected)


def test_every_step_is_an_event_and_the_last_one_says_why_it_ended() -> None:
    network = small_network()
    events = run(network, slices())
    assert [e.step for e in events if isinstance(e, Stepped)] == [1, 2, 3, 4]
    assert events[-1] == Finished(FinishReason.COMPLETED, 4)
    assert not network.training


def test_stopping_acts_at_a_step_boundary_and_keeps_what_was_learnt() -> None:
    network, stopped = small_network(), []
    events = []
    for event in fit(
        network, slices(), SHORT, np.random.default_rng(0), stop=lambda: bool(stopped)
    ):
        events.append(event)
        if isinstance(event, Stepped) and event.step == 2:
            stopped.append(True)
    assert [type(e) for e in events] == [Stepped, Stepped, Finished]
    assert events[-1] == Finished(FinishReason.STOPPED, 2)
    assert not same_weights(network, small_network())


@pytest.mark.parametrize("at", [1, 3, 4])
def test_a_loss_that_is_no_number_fails_and_brings_the_old_weights_back(
    at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, calls = small_network(), []

    def poisoned(*parts: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return parts[0].mean() * (float("nan") if len(calls) > 2 * (at - 1) else 1.0)

    monkeypatch.setattr(OBJECTIVES, "segmentation_loss", poisoned)
    events = run(network, slices())
    assert isinstance(events[-1], Finished)
    assert events[-1].reason is FinishReason.FAILED
    assert f"step {at}" in events[-1].message
    assert events[-1].steps == at - 1
    assert same_weights(network, small_network())


@pytest.mark.parametrize("at", [1, 4])
def test_a_gradient_that_is_no_number_fails_even_at_the_last_step(
    at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, calls = small_network(), []

    def poisoned(*parts: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        # The derivative of the root at 0 is infinite, its value is not.
        return (parts[0].mean() * 0).abs().sqrt() if len(calls) > 2 * (at - 1) else parts[0].mean()

    monkeypatch.setattr(OBJECTIVES, "segmentation_loss", poisoned)
    events = run(network, slices())
    assert events[-1].reason is FinishReason.FAILED  # type: ignore[union-attr]
    assert same_weights(network, small_network())


def test_weights_that_are_no_numbers_are_never_the_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def poison(average: CRIINet, network: CRIINet, decay: float) -> None:
        with torch.no_grad():
            average.coarse_head.weight[0, 0] = float("inf")

    monkeypatch.setattr(LOOP, "_follow", poison)
    network = small_network()
    events = run(network, slices())
    assert events[-1].reason is FinishReason.FAILED  # type: ignore[union-attr]
    assert same_weights(network, small_network())


def test_labels_that_nobody_said_do_not_change_the_weights() -> None:
    first, second, data = small_network(), small_network(), slices()
    weight = torch.ones_like(data[0].weight)
    weight[:, 40:] = 0
    partial = [replace(s, weight=weight) for s in data]
    other = [replace(s, label=torch.where(weight > 0, s.label, 1 - s.label)) for s in partial]
    run(first, partial)
    run(second, other)
    assert same_weights(first, second)


def test_the_average_follows_the_weights() -> None:
    average, network = small_network(0), small_network(1)
    before = copy.deepcopy(average)
    _follow(average, network, 0.75)
    for ours, old, theirs in zip(
        average.parameters(), before.parameters(), network.parameters(), strict=True
    ):
        torch.testing.assert_close(ours, 0.75 * old + 0.25 * theirs)


def test_the_result_is_the_average_and_not_the_last_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    followed, free = small_network(), small_network()
    run(followed, slices())
    monkeypatch.setattr(LOOP, "_follow", lambda *_: None)
    run(free, slices())
    assert same_weights(free, small_network())
    assert not same_weights(followed, free)


def test_the_learning_rate_warms_up_and_then_falls_to_nearly_zero() -> None:
    config = TrainingConfig(iterations=200, warmup=20, learning_rate=0.01)
    rates = [learning_rate(i, config) for i in range(200)]
    assert rates[0] == pytest.approx(0.01 / 20)
    assert all(a < b for a, b in pairwise(rates[:20]))
    assert all(a > b for a, b in pairwise(rates[20:]))
    assert rates[100] == pytest.approx(0.01 * 0.5**0.9)
    assert 0 < rates[-1] < 0.01 * 0.01
    assert all(0 < r <= 0.01 for r in rates)


def test_the_network_overfits_one_slice() -> None:
    network, item = small_network(widths=(8, 8, 16, 16, 16), dropout=(0.0,) * 5), slices(1)[0]
    truth = item.label.numpy() > 0
    config = TrainingConfig(iterations=50, batch=4, crop=48, learning_rate=1e-2, warmup=5)
    before = dice(network(item.image[None]).refined.argmax(1)[0].numpy() > 0, truth)
    events = run(network, [item], config)
    losses = [e.loss for e in events if isinstance(e, Stepped)]
    logits = network(item.image[None])
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])
    assert dice(logits.refined.argmax(1)[0].numpy() > 0, truth) > max(0.9, before)
    assert dice(logits.coarse.argmax(1)[0].numpy() > 0, truth) > 0.8


def test_what_cannot_be_learnt_from_is_refused() -> None:
    network, data = small_network(), slices(1)
    blank = replace(data[0], weight=torch.zeros(56, 64))
    with pytest.raises(TrainingError, match="nothing is annotated"):
        run(network, [blank])
    with pytest.raises(TrainingError, match="nothing is annotated"):
        run(network, [])
    with pytest.raises(TrainingError, match="1 channels, a slice has 3"):
        run(network, [replace(data[0], image=torch.zeros(3, 56, 64))])


@pytest.mark.parametrize(
    "nonsense",
    [
        {"iterations": 0},
        {"batch": 0},
        {"crop": 40},
        {"crop": 0},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"learning_rate": float("inf")},
        {"learning_rate": 1e30},
        {"ema_decay": 1.0},
        {"focus": 1.5},
        {"replay": -0.1},
    ],
)
def test_a_configuration_refuses_nonsense(nonsense: dict[str, float]) -> None:
    with pytest.raises(TrainingError):
        TrainingConfig(**nonsense)  # type: ignore[arg-type]


def test_mixed_precision_learns_the_same_within_its_rounding() -> None:
    plain, mixed, data = small_network(), small_network(), slices()
    start = copy.deepcopy(plain)
    run(plain, data)
    run(mixed, data, replace(SHORT, mixed_precision=True))
    assert all(p.dtype == torch.float32 for p in mixed.parameters())
    assert not same_weights(plain, mixed)
    ours, theirs, before = (
        torch.cat([p.flatten() for p in n.parameters()]) for n in (mixed, plain, start)
    )
    assert (ours - theirs).norm() < 0.5 * (theirs - before).norm()
