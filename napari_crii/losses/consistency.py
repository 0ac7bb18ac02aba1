"""What unlabelled pixels teach: branches that agree, and views that vouch for each other."""

from __future__ import annotations

import math
from itertools import combinations

import torch
from torch import Tensor
from torch.nn import functional

_TINY = 1e-6


def branch_consistency(coarse: Tensor, refined: Tensor, unsaid: Tensor) -> Tensor:
    """Return the weighted mean squared distance between two branches' probabilities.

    The coarse-refined consistency of Du et al. (JBHI 2023), reconstructed.

    Parameters
    ----------
    coarse, refined
        Logits (B, K, H, W); gradients flow into both.
    unsaid
        (B, H, W) in [0, 1]: one minus the weight of the label.

    Returns
    -------
    Tensor
        A scalar from 0 to 2; zero, with a graph, where everything is labelled.
    """
    distance = (coarse.softmax(dim=1) - refined.softmax(dim=1)).square().sum(dim=1)
    counted = torch.where(unsaid > 0, distance * unsaid, torch.zeros_like(distance))
    return counted.sum() / unsaid.sum().clamp_min(_TINY)


def gaussian_ramp(progress: float, share: float) -> float:
    """Return ``exp(-5 (1 - t / Tu) ** 2)``, 1 after a `share` of the run (Mean Teacher, 2017)."""
    return math.exp(-5.0 * (1.0 - min(1.0, progress / share)) ** 2)


def linear_ramp(progress: float, start: float, full: float) -> float:
    """Return 0 before `start`, 1 after `full`, a straight line between."""
    return min(1.0, max(0.0, (progress - start) / (full - start)))


def view_agreement(labels: Tensor, classes: int) -> Tensor:
    """Return how well several labellings of each image agree, (B,), 0 to 1.

    The mean, over pairs of views and foreground classes that either view of the pair sees, of
    their Dice; views that all see nothing agree. Pairwise Dice over predictions: Zenk et al.,
    MedIA 2025.

    Parameters
    ----------
    labels
        (V, B, H, W) class indices.
    """
    masks = functional.one_hot(labels, classes)[..., 1:].flatten(2, 3).float()
    sizes = masks.sum(dim=2)
    total = torch.zeros_like(sizes[0])
    seen = torch.zeros_like(sizes[0])
    for i, j in combinations(range(len(labels)), 2):
        overlap = (masks[i] * masks[j]).sum(dim=1)
        both = sizes[i] + sizes[j]
        total += 2 * overlap / both.clamp_min(1.0)
        seen += (both > 0).float()
    found = seen.sum(dim=1)
    return torch.where(found > 0, total.sum(dim=1) / found.clamp_min(1.0), torch.ones_like(found))


def agreement_weight(agreement: Tensor, low: float, high: float) -> Tensor:
    """Map agreement to a weight: 0 up to `low`, 1 from `high`, a straight line between."""
    return ((agreement - low) / (high - low)).clamp(0.0, 1.0)
