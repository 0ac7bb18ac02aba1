"""Every score that is compared as a detector of errors, with its cost in forward passes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_crii.disagreement import (
    branch_divergence,
    case_doubt,
    disagreement,
    entropy,
    mutual_information,
)
from napari_crii.doubt_features import doubt_features
from napari_crii.edges import edge_distance
from napari_crii.networks import CRIINet

Maps = dict[str, NDArray[np.float32]]
_VIEWS: tuple[tuple[int, ...], ...] = ((), (-2,), (-1,), (-2, -1))
_DROPOUT_PASSES = 8
_NOISE = 0.1

PASSES = {
    "entropy": 1,
    "max_probability": 1,
    "edge_distance": 1,
    "branches_raw": 1,
    "J": 1,
    "I": 4,
    "U": 4,
    "mc_dropout": _DROPOUT_PASSES,
    "tta": 8,
    "ensemble": 3,
}
CASE_PASSES = {"pairwise_dice": 4, "branch_dice": 1, "entropy_inside": 1, "entropy_mean": 1}


@dataclass(frozen=True, eq=False)
class Doubt:
    """What is known of one slice.

    Attributes
    ----------
    labels
        (H, W) proposed classes: the refined branch, one view.
    maps
        Score name to (H, W), higher is more doubtful.
    features
        (H, W, F) from one pass, for the calibrator.
    cases
        Score name to one number for the slice.
    """

    labels: NDArray[np.integer]
    maps: Maps
    features: NDArray[np.float32]
    cases: dict[str, float]


def doubt_about(networks: Sequence[CRIINet], image: Tensor, chance: torch.Generator) -> Doubt:
    """Score one image (C, H, W) by the first network; all of them are the ensemble."""
    network = networks[0]
    coarse, refined = _views(network, image, _VIEWS)
    one_coarse, one = coarse[:1], refined[0]
    several = disagreement(coarse, refined)
    labels = one.argmax(axis=0)
    maps: Maps = {
        "entropy": entropy(one),
        "max_probability": 1 - one.max(axis=0),
        "edge_distance": -edge_distance(labels),
        "branches_raw": np.abs(one_coarse[0] - one).sum(axis=0),
        "J": branch_divergence(one_coarse[0], one),
        "I": mutual_information(coarse, refined),
        "U": several.score,
        "mc_dropout": entropy(_dropout_mean(network, image)),
        "tta": entropy(_noisy_mean(network, image, refined, chance)),
        "ensemble": entropy(np.mean([_refined(n, image) for n in networks], axis=0)),
    }
    grey = image.mean(dim=0).numpy()
    inside = labels > 0
    cases = {
        "pairwise_dice": case_doubt(coarse, refined),
        "branch_dice": case_doubt(one_coarse, refined[:1]),
        "entropy_inside": float(maps["entropy"][inside].mean()) if inside.any() else 1.0,
        "entropy_mean": float(maps["entropy"].mean()),
    }
    return Doubt(labels, maps, doubt_features(one_coarse, refined[:1], grey), cases)


def _views(
    network: CRIINet, image: Tensor, views: Sequence[tuple[int, ...]]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return both branches' probabilities (V, K, H, W), every view laid back."""
    batch = torch.stack([image.flip(axes) if axes else image for axes in views])
    with torch.inference_mode():
        logits = network(batch)
    coarse, refined = (
        np.stack([_laid_back(p, axes) for p, axes in zip(branch.softmax(1), views, strict=True)])
        for branch in logits
    )
    return coarse, refined


def _laid_back(p: Tensor, axes: tuple[int, ...]) -> NDArray[Any]:
    return np.asarray((p.flip(axes) if axes else p).numpy())


def _refined(network: CRIINet, image: Tensor) -> NDArray[np.float32]:
    p: NDArray[np.float32] = _views(network, image, ((),))[1][0]
    return p


def _dropout_mean(network: CRIINet, image: Tensor) -> NDArray[np.float32]:
    """Return the mean over passes with dropout; torch's own chance."""
    dropped = [m for m in network.modules() if isinstance(m, nn.Dropout)]
    for module in dropped:
        module.train()
    p = _views(network, image, ((),) * _DROPOUT_PASSES)[1]
    for module in dropped:
        module.eval()
    return np.asarray(p.mean(axis=0))


def _noisy_mean(
    network: CRIINet, image: Tensor, plain: NDArray[np.float32], chance: torch.Generator
) -> NDArray[np.float32]:
    """Return the mean over four mirrored views, each as it is and with noise."""
    noise = _NOISE * torch.randn(image.shape, generator=chance)
    noisy = _views(network, image + noise, _VIEWS)[1]
    return np.asarray(np.concatenate([plain, noisy]).mean(axis=0))
