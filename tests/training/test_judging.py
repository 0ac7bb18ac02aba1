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


class Finds(nn.Module):
    """Labels each pixel with the class that its grey value names, of three."""

    def forward(self, image: Tensor) -> BranchLogits:
        logits = torch.stack([9.0 * (image[:, 0] == k) for k in range(3)], dim=1)
        return BranchLogits(logits, logits)


def test_a_class_that_nobody_sees_says_nothing_and_one_that_is_invented_counts_as_0() -> None:
    label = torch.zeros((16, 16), dtype=torch.long)
    label[4:8, 4:8] = 1
    whole = torch.ones((16, 16))
    empty = torch.zeros_like(label)
    invented = empty.clone()
    invented[0, 0] = 2
    half = label.clone()
    half[4:6] = 0
    seen = [(label, half), (label, label), (empty, empty), (empty, invented)]
    slices = [
        replace(
            disc_slice(np.random.default_rng(0)), image=found[None].float(), label=truth,
            weight=whole,
        )
        for truth, found in seen
    ]  # fmt: skip
    judge = Judge(slices, 3, torch.device("cpu"))
    assert judge.scores(Finds()) == pytest.approx([2 * 8 / (8 + 16), 1.0, 1.0, 0.0])


def test_weights_that_lose_a_whole_slice_or_are_no_numbers_are_refused_whatever_is_shown() -> None:
    assert loses([0.9, 0.9, 1.0], [0.9, 0.9, 0.0])
    assert loses([0.9, 0.9, 0.9], [0.9, 0.9, math.nan])
    assert not loses([0.9, 0.9, 0.5], [0.9, 0.9, 0.45])


@pytest.mark.parametrize("count", [2, 3, 5, 30])
def test_the_gate_is_the_one_sided_bound_of_student(count: int) -> None:
    rng = np.random.default_rng(count)
    verdicts = set()
    for shift in np.linspace(-0.04, 0.02, 60):
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
