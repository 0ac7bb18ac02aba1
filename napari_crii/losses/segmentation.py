"""Supervised loss on dense or partial masks: cross-entropy plus soft Dice.

Every pixel carries a weight in [0, 1]; 0 means that nobody has said what it is. The weights
act inside the sums, never on the logits: a logit masked to zero would still be p = 0.5 and
enter the Dice denominator.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_TINY = 1e-6


def segmentation_loss(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy plus soft Dice.

    Parameters
    ----------
    logits
        (B, K, H, W).
    labels
        (B, H, W) class indices; any value where the weight is 0.
    weights
        (B, H, W) in [0, 1].

    Returns
    -------
    Tensor
        A scalar; zero, with a graph, where no pixel has weight.
    """
    return weighted_cross_entropy(logits, labels, weights) + soft_dice_loss(logits, labels, weights)


def weighted_cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Mean cross-entropy over weighted pixels; shapes as in `segmentation_loss`."""
    said = weights > 0
    known = torch.where(said, labels, torch.zeros_like(labels))
    losses = functional.cross_entropy(logits, known, reduction="none")
    total = torch.where(said, losses * weights, torch.zeros_like(losses)).sum()
    return total / weights.sum().clamp_min(_TINY)


def soft_dice_loss(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """One minus soft Dice, over the classes that have annotated pixels in the batch.

    Sums run over the whole batch, so a class that is absent from one slice is judged by the
    slices that have it; a class absent from all of them is left out.
    """
    said = weights > 0
    known = torch.where(said, labels, torch.zeros_like(labels))
    truth = functional.one_hot(known, logits.shape[1]).movedim(-1, 1).to(logits.dtype)
    mass = torch.where(said, weights, torch.zeros_like(weights)).unsqueeze(1)
    p = torch.where(said.unsqueeze(1), logits.softmax(dim=1), torch.zeros_like(logits))
    axes = (0, 2, 3)
    overlap = (mass * p * truth).sum(axes)
    size = (mass * p).sum(axes) + (mass * truth).sum(axes)
    present = ((mass * truth).sum(axes) > 0).to(logits.dtype)
    dice = 2 * overlap / size.clamp_min(_TINY)
    return (present * (1 - dice)).sum() / present.sum().clamp_min(1.0)
