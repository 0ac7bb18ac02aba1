"""Ranked list loss on embeddings: the core of Intra- and Inter-Patch Ranked Loss.

Wang et al., "Ranked List Loss for Deep Metric Learning", CVPR 2019 (arXiv 1903.03238), eq. 3 to
8, for many anchors at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_TINY = 1e-8


@dataclass(frozen=True)
class RankedConfig:
    """Settings of both ranked losses.

    Attributes
    ----------
    alpha, margin
        Negatives nearer than `alpha`, and positives farther than ``alpha - margin``, cost.
    positive_temperature, negative_temperature
        How strongly the worst violations outweigh the others.
    patches
        Patches per labelled image of the intra-patch loss.
    patch, small_patch
        Side of a patch, and of one where the crop is at most 128 pixels high.
    band
        Distance from the boundary, in pixels, up to which a pixel is an anchor.
    anchors, positives, negatives
        Sampled pixels per patch and class.
    mixed
        Least and largest share of foreground of a mixed patch.
    pixels
        Sampled pixels per patch and side of the inter-patch loss.
    low, high
        The share of lowest contrast that are anchors, of highest that are positives.
    memory
        Descriptors kept per class.
    """

    alpha: float = 1.2
    margin: float = 0.4
    positive_temperature: float = 0.0
    negative_temperature: float = 5.0
    patches: int = 4
    patch: int = 32
    small_patch: int = 24
    band: int = 3
    anchors: int = 16
    positives: int = 16
    negatives: int = 32
    mixed: tuple[float, float] = (0.15, 0.85)
    pixels: int = 32
    low: float = 0.35
    high: float = 0.5
    memory: int = 256

    def side(self, height: int) -> int:
        """Return the side of a patch in a crop of this height, at most the crop itself."""
        return min(height, self.small_patch if height <= 128 else self.patch)


def ranked_list_loss(
    anchors: Tensor,
    others: Tensor,
    positive: Tensor,
    negative: Tensor,
    config: RankedConfig,
) -> Tensor:
    """Penalise far positives and near negatives, the worst violations most.

    Parameters
    ----------
    anchors, others
        Unit vectors (G, A, E) and (G, N, E): G independent lists.
    positive, negative
        (G, A, N) bool: which of the others rank as what for each anchor. An anchor without
        any of a kind is left out of that kind's mean.

    Returns
    -------
    Tensor
        A scalar; zero, with a graph, where nothing violates or no anchor is there.
    """
    squared = 2.0 - 2.0 * anchors @ others.transpose(1, 2)
    distance = squared.clamp_min(_TINY).sqrt()
    pull = _violation(
        distance - (config.alpha - config.margin), positive, config.positive_temperature
    )
    push = _violation(config.alpha - distance, negative, config.negative_temperature)
    return pull + push


def _violation(excess: Tensor, considered: Tensor, temperature: float) -> Tensor:
    """Return the mean over anchors of the weighted mean violation."""
    violation = torch.where(considered, excess, torch.zeros_like(excess)).clamp_min(0.0)
    violating = violation > 0
    weight = (temperature * violation.detach()).exp() * violating
    share = weight / weight.sum(dim=-1, keepdim=True).clamp_min(_TINY)
    counted = considered.any(dim=-1).sum().clamp_min(1)
    return (share * violation).sum() / counted
