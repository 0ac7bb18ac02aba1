"""How a tick ends that brings no new weights, and how one publishes those that it brings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_crii.checkpoint import load_checkpoint
from napari_crii.errors import TrainingError
from napari_crii.snapshot import Snapshot, UnlabelledSlice
from napari_crii.training import FinishReason
from napari_crii.training.judging import Judge
from napari_crii.training.tick import TickResult, publish, run_tick
from napari_crii.volume import IntensityStats
from tests.factories import disc_slice, small_checkpoint
from tests.training.ticks import BRIEF, frozen, result_of


def test_a_stopped_tick_publishes_nothing(rng: np.random.Generator) -> None:
    snapshot = Snapshot((frozen(disc_slice(rng)),))
    events = list(run_tick(small_checkpoint(), snapshot, BRIEF, stop=lambda: True))
    assert isinstance(events[-1], TickResult)
    assert events[-1].reason == FinishReason.STOPPED
    assert events[-1].checkpoint is None


def test_a_tick_stops_wherever_it_is_told_to_also_while_it_judges(
    rng: np.random.Generator,
) -> None:
    checks = tuple(frozen(disc_slice(rng), validation=True) for _ in range(3))
    snapshot = Snapshot((frozen(disc_slice(rng)), *checks))
    asked: list[int] = []

    def reason(most: float) -> str:
        asked.clear()

        def stop() -> bool:
            asked.append(1)
            return len(asked) > most

        (*_, result) = run_tick(small_checkpoint(), snapshot, BRIEF, stop)
        assert isinstance(result, TickResult)
        assert (result.checkpoint is None) == (result.reason != FinishReason.COMPLETED)
        return result.reason

    assert reason(np.inf) == FinishReason.COMPLETED
    times = len(asked)
    # Before each of three slices, before and after at least.
    assert times >= 6 + BRIEF.iterations
    assert [reason(most) for most in range(times)] == [FinishReason.STOPPED] * times


def test_an_unknown_preset_is_refused(rng: np.random.Generator) -> None:
    config = replace(BRIEF, preset="sup2")
    with pytest.raises(TrainingError, match="no preset 'sup2'"):
        list(run_tick(small_checkpoint(), Snapshot((frozen(disc_slice(rng)),)), config))


def test_unlabelled_slices_alone_are_nothing_to_learn_from(rng: np.random.Generator) -> None:
    image = disc_slice(rng).image.numpy()
    snapshot = Snapshot((), (UnlabelledSlice(image, IntensityStats.of(image)),))
    with pytest.raises(TrainingError, match="nothing is annotated"):
        list(run_tick(small_checkpoint(), snapshot, replace(BRIEF, preset="plus")))


def test_memory_that_runs_out_while_judging_fails_in_words(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def short(self: Judge, network: object, stop: object) -> list[float]:
        raise MemoryError

    monkeypatch.setattr(Judge, "scores", short)
    result = result_of(small_checkpoint(), Snapshot((frozen(disc_slice(rng)),)), BRIEF)
    assert (result.reason, result.checkpoint) == (FinishReason.FAILED, None)
    assert result.message == "Memory ran out: close other programs, then learn again."


def test_a_run_that_fails_says_so_in_a_sentence(rng: np.random.Generator) -> None:
    config = replace(BRIEF, learning_rate=1.0, iterations=40)
    result = result_of(small_checkpoint(), Snapshot((frozen(disc_slice(rng)),)), config)
    assert (result.reason, result.checkpoint) == (FinishReason.FAILED, None)
    assert result.message.startswith("Learning failed: the weights grew to ")


def test_weights_that_are_no_numbers_are_never_published(tmp_path: Path) -> None:
    checkpoint = small_checkpoint()
    with torch.no_grad():
        checkpoint.network.coarse_head.weight[0, 0] = float("inf")
    with pytest.raises(TrainingError, match="not finite"):
        publish(checkpoint, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_snapshot_without_a_word_of_a_human_is_refused(rng: np.random.Generator) -> None:
    for slices in ((), (frozen(disc_slice(rng), validation=True),)):
        with pytest.raises(TrainingError, match="nothing is annotated"):
            list(run_tick(small_checkpoint(), Snapshot(slices), BRIEF))


def test_labels_beyond_the_classes_are_refused_where_a_human_said_them(
    rng: np.random.Generator,
) -> None:
    item = frozen(disc_slice(rng))
    beyond = replace(item, labels=np.full(item.labels.shape, 2, dtype=np.uint8))
    with pytest.raises(TrainingError, match="label 2"):
        list(run_tick(small_checkpoint(), Snapshot((beyond,)), BRIEF))
    unsaid = replace(beyond, weights=item.weights * (item.labels > 5))
    ignored = Snapshot((item, unsaid))
    assert result_of(small_checkpoint(), ignored, BRIEF).checkpoint is not None


def test_a_checkpoint_is_published_under_its_digest(tmp_path: Path) -> None:
    path = publish(small_checkpoint(), tmp_path)
    loaded = load_checkpoint(path)
    assert path.name == f"crii-{loaded.digest[:16]}.safetensors"
    stamp = path.stat().st_mtime_ns
    assert publish(small_checkpoint(), tmp_path) == path
    assert path.stat().st_mtime_ns == stamp
    assert publish(small_checkpoint(seed=1), tmp_path) != path
