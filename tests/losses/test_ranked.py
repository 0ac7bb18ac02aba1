from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from napari_crii.losses import RankedConfig, ranked_list_loss


def example(seed: int) -> tuple[torch.Tensor, ...]:
    draw = torch.Generator().manual_seed(seed)
    anchors = functional.normalize(torch.randn(3, 4, 5, generator=draw), dim=-1)
    others = functional.normalize(torch.randn(3, 9, 5, generator=draw), dim=-1)
    positive = torch.rand(3, 4, 9, generator=draw) < 0.4
    negative = ~positive & (torch.rand(3, 4, 9, generator=draw) < 0.7)
    return anchors, others, positive, negative


def brute_force(
    anchors: torch.Tensor,
    others: torch.Tensor,
    positive: torch.Tensor,
    negative: torch.Tensor,
    c: RankedConfig,
) -> float:
    pulls, pushes = [], []
    for g in range(len(anchors)):
        for i, anchor in enumerate(anchors[g]):
            sums = {"pull": [0.0, 0.0], "push": [0.0, 0.0]}
            for j, other in enumerate(others[g]):
                d = float((anchor.double() - other.double()).norm())
                for kind, there, v, t in (
                    ("pull", positive, d - (c.alpha - c.margin), c.positive_temperature),
                    ("push", negative, c.alpha - d, c.negative_temperature),
                ):
                    if there[g, i, j] and v > 0:
                        sums[kind][0] += math.exp(t * v) * v
                        sums[kind][1] += math.exp(t * v)
            for kind, there, found in (("pull", positive, pulls), ("push", negative, pushes)):
                if there[g, i].any():
                    above, below = sums[kind]
                    found.append(above / below if below else 0.0)
    return float(np.mean(pulls or [0]) + np.mean(pushes or [0]))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 2.0]))
def test_the_loss_equals_a_loop_over_pairs(seed: int, temperature: float) -> None:
    config = RankedConfig(positive_temperature=temperature)
    parts = example(seed)
    expected = brute_force(*parts, config)
    assert float(ranked_list_loss(*parts, config)) == pytest.approx(expected, rel=1e-3, abs=1e-5)


def test_what_is_ranked_well_costs_nothing() -> None:
    anchor = torch.tensor([[[1.0, 0.0]]])
    others = torch.tensor([[[0.9998, 0.02], [-1.0, 0.0]]])
    positive = torch.tensor([[[True, False]]])
    assert float(ranked_list_loss(anchor, others, positive, ~positive, RankedConfig())) == 0
    assert float(ranked_list_loss(anchor, others, ~positive, positive, RankedConfig())) > 1


def test_without_pairs_it_is_a_finite_zero_with_a_graph() -> None:
    anchors, others, positive, _ = example(0)
    anchors.requires_grad_()
    none = torch.zeros_like(positive)
    loss = ranked_list_loss(anchors, others, none, none, RankedConfig())
    loss.backward()
    assert float(loss.detach()) == 0
    assert torch.equal(anchors.grad, torch.zeros_like(anchors))
    empty = ranked_list_loss(
        anchors[:, :0], others, positive[:, :0], positive[:, :0], RankedConfig()
    )
    assert float(empty.detach()) == 0


def test_an_anchor_that_equals_an_other_has_a_finite_gradient() -> None:
    anchors = functional.normalize(torch.ones(1, 1, 3), dim=-1).requires_grad_()
    yes = torch.ones(1, 1, 1, dtype=torch.bool)
    ranked_list_loss(anchors, anchors.detach().clone(), ~yes, yes, RankedConfig()).backward()
    assert torch.isfinite(anchors.grad).all()


def test_small_crops_have_small_patches() -> None:
    config = RankedConfig()
    assert [config.side(h) for h in (16, 96, 128, 144)] == [16, 24, 24, 32]
