from __future__ import annotations

import math

import pytest
import torch

from napari_crii.losses import (
    agreement_weight,
    branch_consistency,
    gaussian_ramp,
    linear_ramp,
    view_agreement,
)


def logits(seed: int, classes: int = 3) -> torch.Tensor:
    return torch.randn(2, classes, 5, 7, generator=torch.Generator().manual_seed(seed))


def test_consistency_equals_a_loop_over_pixels() -> None:
    a, b = logits(0), logits(1)
    unsaid = torch.rand(2, 5, 7, generator=torch.Generator().manual_seed(2)).round(decimals=1)
    total = 0.0
    for n in range(2):
        for i in range(5):
            for j in range(7):
                p, q = a[n, :, i, j].softmax(0), b[n, :, i, j].softmax(0)
                total += float(unsaid[n, i, j]) * float(((p - q) ** 2).sum())
    expected = total / float(unsaid.sum())
    assert float(branch_consistency(a, b, unsaid)) == pytest.approx(expected, rel=1e-5)


def test_equal_branches_are_consistent_and_opposite_ones_cost_two() -> None:
    a, everywhere = logits(0, classes=2), torch.ones(2, 5, 7)
    assert float(branch_consistency(a, a.clone(), everywhere)) == 0
    sure = torch.zeros(2, 2, 5, 7)
    sure[:, 0] = 40.0
    assert float(branch_consistency(sure, sure.flip(1), everywhere)) == pytest.approx(2.0)


def test_labelled_pixels_change_no_bit_of_consistency() -> None:
    a, b = logits(0), logits(1)
    unsaid = torch.zeros(2, 5, 7)
    unsaid[:, :2] = 1
    changed = a.clone()
    changed[:, :, 2:] = 9 * logits(5)[:, :, 2:]
    assert torch.equal(branch_consistency(a, b, unsaid), branch_consistency(changed, b, unsaid))


def test_everything_labelled_gives_a_finite_zero_with_a_graph() -> None:
    a = logits(0).requires_grad_()
    loss = branch_consistency(a, logits(1), torch.zeros(2, 5, 7))
    loss.backward()
    assert float(loss.detach()) == 0
    assert torch.equal(a.grad, torch.zeros_like(a))


def test_ramps() -> None:
    assert gaussian_ramp(0.0, 0.4) == pytest.approx(math.exp(-5))
    assert gaussian_ramp(0.2, 0.4) == pytest.approx(math.exp(-5 * 0.25))
    assert gaussian_ramp(0.4, 0.4) == gaussian_ramp(0.9, 0.4) == 1.0
    assert [linear_ramp(t, 0.1, 0.2) for t in (0.0, 0.1, 0.15, 0.2, 1.0)] == pytest.approx(
        [0, 0, 0.5, 1, 1]
    )


def test_agreement_is_the_mean_pairwise_dice() -> None:
    one, two = torch.zeros(4, 4, dtype=torch.long), torch.zeros(4, 4, dtype=torch.long)
    one[:2], two[1:3] = 1, 1
    empty = torch.zeros_like(one)
    # Pairs: (one, one) 1, (one, two) 0.5 twice; the second image sees nothing in any view.
    views = torch.stack([torch.stack([v, empty]) for v in (one, one, two)])
    assert view_agreement(views, 2).tolist() == pytest.approx([2 / 3, 1.0])


def test_a_class_that_one_view_invents_lowers_the_agreement() -> None:
    one = torch.zeros(2, 1, 4, 4, dtype=torch.long)
    one[:, :, :2] = 1
    assert view_agreement(one, 3).tolist() == [1.0]
    one[1, :, 3] = 2
    assert view_agreement(one, 3).tolist() == [0.5]


def test_agreement_becomes_a_weight_between_its_bounds() -> None:
    weight = agreement_weight(torch.tensor([0.2, 0.6, 0.75, 0.9, 1.0]), 0.6, 0.9)
    assert weight.tolist() == pytest.approx([0, 0, 0.5, 1, 1])
