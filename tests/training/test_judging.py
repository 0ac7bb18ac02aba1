"""How weights are judged: how often on the way, and by which bound they lose."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from napari_crii.networks import BranchLogits
from napari_crii.training.judging import Judge, loses
from tests.factories import disc_slice


@pytest.mark.parametrize(
    ("slices", "often"), [(0, 0), (1, 4), (16, 4), (17, 3), (32, 2), (64, 1), (65, 0)]
)
def test_many_check_slices_are_checked_less_often_on_the_way(slices: int, often: int) -> None:
    item = disc_slice(np.random.default_rng(0))
    steps = Judge([item] * slices, 2, torch.device("cpu")).steps(60)
    assert len(steps) == often
    assert steps <= set(range(1, 60))


class TwoDiscs(nn.Module):
    """Finds what is there, and less surely something in a corner."""

    def forward(self, image: Tensor) -> BranchLogits:
        found = torch.where(image[:, :1] > 0.5, 9.0, -9.0)
        found[..., :3, :3] = 1.0
        logits = torch.cat([torch.zeros_like(found), found], dim=1)
        return BranchLogits(logits, logits)


@pytest.mark.parametrize(("one_object", "expected"), [(False, 2 * 9 / (9 + 18)), (True, 1.0)])
def test_weights_are_judged_by_what_they_would_propose(one_object: bool, expected: float) -> None:
    label = torch.zeros((16, 16), dtype=torch.long)
    label[8:11, 8:11] = 1
    item = replace(
        disc_slice(np.random.default_rng(0)),
        image=label[None].float(), label=label, weight=torch.ones((16, 16)),
    )  # fmt: skip
    judge = Judge([item], 2, torch.device("cpu"), one_object)
    assert judge.scores(TwoDiscs()) == pytest.approx([expected])


@pytest.mark.parametrize("count", [2, 3, 5, 30])
def test_the_gate_is_the_one_sided_bound_of_student(count: int) -> None:
    rng = np.random.default_rng(count)
    verdicts = set()
    for shift in np.linspace(-0.05, 0.02, 60):
        before = rng.uniform(0.6, 0.9, count)
        after = before + shift + rng.normal(0, 0.01, count)
        change = after - before
        bound = change.mean() + stats.t.ppf(0.9, count - 1) * change.std(ddof=1) / math.sqrt(count)
        assert loses(list(before), list(after)) == (bound < -0.005)
        verdicts.add(bool(bound < -0.005))
    assert count < 3 or verdicts == {True, False}


def test_an_equal_network_is_hardly_ever_refused() -> None:
    rng = np.random.default_rng(0)
    refused = [loses([0.8] * 3, list(0.8 + rng.normal(0, 0.02, 3))) for _ in range(2000)]
    assert np.mean(refused) < 0.12
