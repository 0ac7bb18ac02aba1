"""Which crops make a batch: older slices in their share, where things are, nothing unsaid."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_crii.training import TrainingConfig, TrainingSlice
from napari_crii.training.sampling import BatchSampler
from tests.factories import disc_slice

SHORT = TrainingConfig(batch=2, crop=32)


def a_slice() -> TrainingSlice:
    return disc_slice(np.random.default_rng(0))


def test_replayed_slices_have_their_share_of_every_batch() -> None:
    old, new = disc_slice(np.random.default_rng(0), replay=True), a_slice()
    old, new = (
        replace(s, label=torch.full_like(s.label, k), weight=torch.ones_like(s.weight))
        for k, s in enumerate((old, new))
    )
    config = TrainingConfig(batch=8, crop=16, replay=0.5)
    for share, wanted in ((0.5, 4), (0.25, 2), (0.0, 0)):
        sampler = BatchSampler([old, new], replace(config, replay=share), np.random.default_rng(5))
        for _ in range(5):
            _, labels, weights = sampler.draw()
            from_new = [bool(la[w > 0].any()) for la, w in zip(labels, weights, strict=True)]
            assert from_new.count(False) == wanted


def test_without_new_slices_everything_is_replayed() -> None:
    sampler = BatchSampler([replace(a_slice(), replay=True)], SHORT, np.random.default_rng(0))
    assert sampler.draw()[0].shape == (2, 1, 32, 32)


def test_crops_find_the_annotated_part_of_a_partial_mask() -> None:
    item = a_slice()
    weight = torch.zeros(200, 240)
    weight[150:156, 200:209] = 1
    image, label = torch.zeros(1, 200, 240), torch.zeros(200, 240, dtype=torch.long)
    item = replace(item, image=image, label=label, weight=weight)
    sampler = BatchSampler([item], replace(SHORT, batch=8), np.random.default_rng(0))
    found = [bool(w.any()) for _ in range(4) for w in sampler.draw()[2]]
    assert np.mean(found) > 0.9


@pytest.mark.parametrize("known", [True, False])
def test_crops_lie_where_the_network_missed_something_in_their_share(known: bool) -> None:
    item = a_slice()
    label, missed = torch.zeros(200, 240, dtype=torch.long), torch.zeros(200, 240, dtype=torch.bool)
    label[20:30, 20:30], missed[150:156, 200:209] = 1, True
    item = replace(
        item, image=missed[None].float(), label=label, weight=torch.ones(200, 240),
        missed=missed if known else None,
    )  # fmt: skip
    seen = {}
    for corrective in (0.0, 0.5, 1.0):
        config = replace(SHORT, batch=50, focus=1.0, corrective=corrective, strong=False)
        sampler = BatchSampler([item], config, np.random.default_rng(0))
        images = torch.cat([sampler.draw()[0] for _ in range(4)])
        seen[corrective] = float((images > 0.5).flatten(1).any(dim=1).float().mean())
    if not known:
        assert set(seen.values()) == {0.0}
        return
    assert seen[0.0] == 0
    assert 0.35 < seen[0.5] < 0.65
    assert seen[1.0] > 0.95


def test_slices_that_nobody_annotated_are_never_drawn() -> None:
    blank = replace(a_slice(), weight=torch.zeros(56, 64))
    full = replace(a_slice(), weight=torch.ones(56, 64))
    sampler = BatchSampler([blank, full], replace(SHORT, batch=16), np.random.default_rng(0))
    assert all(bool(w.any()) for w in sampler.draw()[2])
