"""Every score that is compared as a detector of errors, with its cost in forward passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_crii.disagreement import (
    branch_divergence,
    disagreement,
    entropy,
    mutual_information,
    pairwise_doubt,
)
from napari_crii.doubt_features import doubt_features
from napari_crii.edges import edge_distance
from napari_crii.inference import mirror, mirrored_views
from napari_crii.networks import CRIINet

Maps = dict[str, NDArray[np.float32]]

_DROPOUT_PASSES = 8
MEMBERS = 3
_NOISE = 0.1

# Three passes: as it is, and moved along both axes by what no stride beyond 1 divides.
SHIFTS = (0, 3, -3)

SCORES = (
    "entropy", "max_probability", "edge_distance", "branches_raw", "J", "I", "U", "shifts",
    "mc_dropout", "tta", "ensemble",
)  # fmt: skip
CASE_SCORES = ("pairwise_dice", "branch_dice", "entropy_inside", "entropy_mean")


def passes_of(score: str, mirror_axes: tuple[int, ...] = (0, 1)) -> int:
    """Return how many passes through a network a score takes, of pixels or of whole slices."""
    views = len(mirrored_views(mirror_axes))
    several = {"I": views, "U": views, "pairwise_dice": views, "tta": 2 * views}
    others = {"mc_dropout": _DROPOUT_PASSES, "ensemble": MEMBERS}
    moved = len(SHIFTS) if "shifts" in score else 1
    return {**several, **others}.get(score, moved)


@dataclass(frozen=True, eq=False)
class Doubt:
    """What is known of one slice.

    Attributes
    ----------
    labels
        (H, W) proposed classes: the refined branch, one view.
    maps
        Score name to (H, W), higher is more doubtful.
    features, shifted
        (H, W, F) for the calibrator: from one pass, and from those of a shifted image.
    cases
        Score name to one number for the slice.
    """

    labels: NDArray[np.integer]
    maps: Maps
    features: NDArray[np.float32]
    shifted: NDArray[np.float32]
    cases: dict[str, float]


def doubt_about(
    networks: Sequence[CRIINet],
    image: Tensor,
    chance: torch.Generator,
    mirror_axes: tuple[int, ...] = (0, 1),
) -> Doubt:
    """Score one image (C, H, W) by the first network; all three of them are the ensemble.

    Views are mirrored along `mirror_axes` only: a network knows no others.
    """
    network, views = networks[0], mirrored_views(mirror_axes)
    coarse, refined = _views(network, image, views)
    one_coarse, one = coarse[:1], refined[0]
    shifted = _shifted_views(network, image)
    several = disagreement(coarse, refined)
    labels = one.argmax(axis=0)
    maps: Maps = {
        "entropy": entropy(one),
        "max_probability": 1 - one.max(axis=0),
        # No pixel is farther from an edge than the diagonal; a slice without one is all as far.
        "edge_distance": -np.minimum(edge_distance(labels), np.float32(np.hypot(*labels.shape))),
        "branches_raw": np.abs(one_coarse[0] - one).sum(axis=0),
        "J": branch_divergence(one_coarse[0], one),
        "I": mutual_information(coarse, refined),
        "U": several.score,
        "shifts": entropy(shifted[1].mean(axis=0)),
        "mc_dropout": entropy(_dropout_mean(network, image)),
        "tta": entropy(_noisy_mean(network, image, refined, views, chance)),
        "ensemble": entropy(np.mean([_refined(n, image) for n in networks], axis=0)),
    }
    inside = labels > 0
    cases = {
        "pairwise_dice": pairwise_doubt(coarse, refined) or 0.0,
        "branch_dice": pairwise_doubt(one_coarse, refined[:1]) or 0.0,
        "entropy_inside": float(maps["entropy"][inside].mean()) if inside.any() else 1.0,
        "entropy_mean": float(maps["entropy"].mean()),
    }
    features = doubt_features(one_coarse, refined[:1])
    return Doubt(labels, maps, features, doubt_features(*shifted), cases)


def _views(
    network: CRIINet, image: Tensor, views: Sequence[tuple[int, ...]]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return both branches' probabilities (V, K, H, W), every view laid back."""
    return _answers(network, [mirror(image, view) for view in views], views, mirror)


def _shifted_views(
    network: CRIINet, image: Tensor
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the same of the image and of shifted ones; what leaves on one side comes back."""
    images = [_shift(image, by) for by in SHIFTS]
    return _answers(network, images, [-by for by in SHIFTS], _shift)


def _shift(image: Tensor, by: int) -> Tensor:
    return image.roll((by, by), (-2, -1))


def _answers(
    network: CRIINet, images: Sequence[Tensor], ways: Sequence[Any], back: Callable[..., Tensor]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    with torch.inference_mode():
        logits = network(torch.stack([*images]))
    coarse, refined = (
        np.stack([back(p, way).numpy() for p, way in zip(branch.softmax(1), ways, strict=True)])
        for branch in logits
    )
    return coarse, refined


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
    network: CRIINet,
    image: Tensor,
    plain: NDArray[np.float32],
    views: Sequence[tuple[int, ...]],
    chance: torch.Generator,
) -> NDArray[np.float32]:
    """Return the mean over mirrored views, each as it is and with noise."""
    noise = _NOISE * torch.randn(image.shape, generator=chance)
    noisy = _views(network, image + noise, views)[1]
    return np.asarray(np.concatenate([plain, noisy]).mean(axis=0))
