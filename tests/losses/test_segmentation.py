from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_crii.losses import segmentation_loss, soft_dice_loss, weighted_cross_entropy

SHAPE = (2, 9, 13)


def example(seed: int, classes: int = 3) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return logits, labels, and weights of which many are 0 and some are fractions."""
    draw = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(2, classes, *SHAPE[1:], generator=draw)
    labels = torch.randint(classes, SHAPE, generator=draw)
    weights = torch.rand(SHAPE, generator=draw) * (torch.rand(SHAPE, generator=draw) > 0.4)
    return logits, labels, weights


def brute_force(
    logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor
) -> tuple[float, float]:
    """Return cross-entropy and Dice loss, pixel by pixel, class by class."""
    z, y, w = logits.double().numpy(), labels.numpy(), weights.double().numpy()
    classes = z.shape[1]
    entropy, total = 0.0, 0.0
    overlap, predicted, true = np.zeros(classes), np.zeros(classes), np.zeros(classes)
    for b, i, j in zip(*np.nonzero(w), strict=True):
        p = np.exp(z[b, :, i, j]) / np.exp(z[b, :, i, j]).sum()
        entropy -= w[b, i, j] * np.log(p[y[b, i, j]])
        total += w[b, i, j]
        predicted += w[b, i, j] * p
        true[y[b, i, j]] += w[b, i, j]
        overlap[y[b, i, j]] += w[b, i, j] * p[y[b, i, j]]
    there = true > 0
    dice = 2 * overlap[there] / (predicted + true)[there]
    return entropy / total, float(np.mean(1 - dice))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([2, 3, 5]))
def test_the_losses_equal_a_loop_over_pixels(seed: int, classes: int) -> None:
    logits, labels, weights = example(seed, classes)
    entropy, dice = brute_force(logits, labels, weights)
    assert float(weighted_cross_entropy(logits, labels, weights)) == pytest.approx(entropy, 1e-4)
    assert float(soft_dice_loss(logits, labels, weights)) == pytest.approx(dice, 1e-4)
    both = float(segmentation_loss(logits, labels, weights))
    assert both == pytest.approx(entropy + dice, 1e-4)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0, 1, 2, 3, 77, 255]))
def test_labels_and_predictions_without_weight_change_no_bit(seed: int, label: int) -> None:
    logits, labels, weights = example(seed)
    before = segmentation_loss(logits, labels, weights)
    nobody_said = weights == 0
    labels[nobody_said] = label
    logits = torch.where(nobody_said[:, None], 50 * torch.randn(logits.shape), logits)
    assert torch.equal(segmentation_loss(logits, labels, weights), before)


def test_predictions_without_weight_receive_no_gradient() -> None:
    logits, labels, weights = example(3)
    logits.requires_grad_()
    segmentation_loss(logits, labels, weights).backward()
    unsaid = (weights == 0)[:, None].expand_as(logits)
    assert not logits.grad[unsaid].any()
    assert logits.grad[~unsaid].all()


def test_a_class_that_nobody_annotated_is_left_out_of_dice() -> None:
    logits, labels, weights = example(4, classes=4)
    weights = torch.where(labels == 3, torch.zeros_like(weights), weights)
    _, dice = brute_force(logits, labels, weights)
    assert float(soft_dice_loss(logits, labels, weights)) == pytest.approx(dice, 1e-4)
    only_background = torch.where(labels == 0, weights, torch.zeros_like(weights))
    perfect = torch.zeros_like(logits)
    perfect[:, 0] = 60.0
    assert float(soft_dice_loss(perfect, labels, only_background)) == pytest.approx(0, abs=1e-6)


def test_a_perfect_prediction_costs_nothing_and_a_wrong_one_much() -> None:
    _, labels, weights = example(5)
    perfect = 60.0 * torch.nn.functional.one_hot(labels, 3).movedim(-1, 1).float()
    assert float(segmentation_loss(perfect, labels, weights)) == pytest.approx(0, abs=1e-5)
    assert float(segmentation_loss(perfect.roll(1, dims=1), labels, weights)) > 2


def test_nothing_annotated_gives_a_finite_zero_with_a_graph() -> None:
    logits, labels, weights = example(6)
    logits.requires_grad_()
    loss = segmentation_loss(logits, torch.full_like(labels, 255), torch.zeros_like(weights))
    assert float(loss.detach()) == 0
    loss.backward()
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_the_gradient_is_that_of_the_value() -> None:
    logits, labels, weights = example(7)
    exact = logits[..., :3, :4].double().requires_grad_()
    parts = (labels[..., :3, :4], weights[..., :3, :4].double())
    assert torch.autograd.gradcheck(lambda z: segmentation_loss(z, *parts), exact)
