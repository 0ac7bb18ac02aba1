"""What the formulas of the papers have in common, written a second time: numpy, in doubles."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from napari_crii.training.streams import Labelled

Array = NDArray[np.float64]
# Progress and weight of the pool: late and in full, early and a quarter, and a pool so heavy that
# labels hardly count, so that little errors in what it teaches are seen.
MOMENTS = [(0.9, 1.0), (0.2, 0.25), (0.5, 1000.0)]


def softmax(logits: Tensor) -> Array:
    """Return probabilities (B, K, H, W)."""
    z = logits.detach().double().numpy()
    powers = np.exp(z - z.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def cross_entropy(p: Array, labels: NDArray[np.int64], weights: Array) -> float:
    said = np.take_along_axis(p, labels[:, None], axis=1)[:, 0]
    return float((weights * -np.log(said)).sum() / weights.sum())


def dice_loss(p: Array, labels: NDArray[np.int64], weights: Array) -> float:
    """Return the mean over the classes that are there, each over the whole batch."""
    missed = []
    for k in range(p.shape[1]):
        there = weights * (labels == k)
        if there.any():
            size = (weights * p[:, k]).sum() + there.sum()
            missed.append(1 - 2 * (there * p[:, k]).sum() / size)
    return float(np.mean(missed))


def cross_entropy_and_dice(logits: Tensor, labels: Tensor, weights: Tensor) -> float:
    p, known, mass = softmax(logits), labels.numpy(), weights.double().numpy()
    return cross_entropy(p, known, mass) + dice_loss(p, known, mass)


def supervised(logits: Tensor, part: Labelled) -> float:
    return 0.5 * cross_entropy_and_dice(logits, part.labels, part.weights)


def ramp(share: float) -> float:
    return math.exp(-5 * (1 - min(1.0, share)) ** 2)
