"""Settings of ticks: what overrides them, whom they suit, and how large crops are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_crii.checkpoint import load_checkpoint
from napari_crii.snapshot import Snapshot
from napari_crii.training import TrainingConfig, TrainingSlice, tick, tick_config
from napari_crii.training.fit import learner_of
from napari_crii.training.tick import publish
from napari_crii.training.tick_config import FIRST_RUN, TickConfig, usual_config
from tests.factories import disc_slice, small_checkpoint
from tests.training.ticks import BRIEF, frozen, result_of


def test_zero_overrides_keep_the_settings_of_a_tick() -> None:
    assert TickConfig().with_overrides() == TickConfig()
    assert TickConfig().with_overrides(7, 0.5) == TickConfig(iterations=7, learning_rate=0.5)
    assert TickConfig().with_overrides(preset="plus") == TickConfig(preset="plus")
    assert FIRST_RUN.with_overrides(7) == replace(FIRST_RUN, iterations=7)


def test_a_young_network_goes_all_of_the_way_and_a_grown_one_by_what_it_has_seen() -> None:
    assert [FIRST_RUN.share(count) for count in (1, 2, 8)] == [1, 1, 1]
    assert [TickConfig().share(count) for count in (1, 2, 8)] == [1 / 2, 2 / 3, 8 / 9]


def test_a_young_network_goes_on_as_it_began_until_it_is_grown(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = Snapshot((frozen(disc_slice(rng, (32, 32))),))
    brief = replace(FIRST_RUN, iterations=2, batch=2, crop=32)
    monkeypatch.setattr(tick_config, "FIRST_RUN", brief)
    network = small_checkpoint()
    kinds = []
    for _ in range(5):
        kinds.append(usual_config(network))
        new = result_of(network, snapshot, brief).checkpoint
        assert new is not None
        network = load_checkpoint(publish(new, tmp_path))
    assert kinds == [brief] * 4 + [TickConfig()]
    assert network.provenance["steps"] == 10
    # Weights that learnt elsewhere are grown, however they come.
    grown = replace(small_checkpoint(), digest="known")
    assert usual_config(grown) == TickConfig()
    tuned = result_of(grown, snapshot, brief).checkpoint
    assert tuned is not None
    assert usual_config(tuned) == TickConfig()


@pytest.mark.parametrize(("shape", "side"), [((40, 50), 80), ((20, 64), 96), ((200, 130), 128)])
def test_crops_are_no_larger_than_slices_need(
    shape: tuple[int, int], side: int, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []

    def watched(network: Any, data: Any, config: TrainingConfig, rng: Any) -> Any:
        drawn.append(config.crop)
        return learner_of(network, data, config, rng)

    monkeypatch.setattr(tick, "learner_of", watched)
    snapshot = Snapshot((frozen(disc_slice(rng, shape)),))
    assert result_of(small_checkpoint(), snapshot, BRIEF).checkpoint is not None
    assert drawn == [side]
    assert TickConfig().fitted([shape, (10, 10)]).crop == side


@pytest.mark.parametrize("corrective", [0.5, 0.0])
def test_a_tick_looks_where_the_weights_at_hand_miss_what_a_human_says(
    corrective: float, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[TrainingSlice] = []

    def watched(network: Any, data: Any, config: TrainingConfig, rng: Any) -> Any:
        assert config.corrective == corrective
        seen.extend(data)
        return learner_of(network, data, config, rng)

    monkeypatch.setattr(tick, "learner_of", watched)
    start = small_checkpoint()
    half = np.ones((56, 64), dtype=np.float32)
    half[:, 32:] = 0
    snapshot = Snapshot((frozen(replace(disc_slice(rng), weight=torch.from_numpy(half))),))
    result_of(start, snapshot, replace(BRIEF, corrective=corrective))
    (item,) = seen
    if not corrective:
        assert item.missed is None
        return
    with torch.inference_mode():
        found = start.network(item.image[None]).refined[0].argmax(dim=0)
    assert item.missed is not None
    assert 0 < int(item.missed.sum()) < item.missed.numel()
    assert torch.equal(item.missed, (found != item.label) & (torch.from_numpy(half) > 0))
