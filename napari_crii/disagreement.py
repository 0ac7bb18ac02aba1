"""Where the network doubts: a map per slice, and one number for a case.

Two meanings are kept apart. `DisagreementMap.branches` shows where the coarse and the refined
output differ: an explanation. `DisagreementMap.score` says where errors are expected: the
ranking. Until it is calibrated on corrections the score is a fixed prior, an order and not a
probability. Background: ``docs/method.md``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from napari_crii.metrics import dice

COARSE_STRIDE = 4
_TINY = np.float32(1e-7)


@dataclass(frozen=True, eq=False)
class DisagreementMap:
    """Doubt about one slice.

    Attributes
    ----------
    score
        (H, W) float32, 0 to 1: entropy of the mean over mirrored views and both branches.
    coarse, refined
        (K, H, W) float32: mean probabilities of the two branches over the views.
    stride
        Pixels of the slice between two outputs of the coarse branch.
    """

    score: NDArray[np.float32]
    coarse: NDArray[np.float32]
    refined: NDArray[np.float32]
    stride: int

    @cached_property
    def branches(self) -> NDArray[np.float32]:
        """(H, W) float32, 0 to 1: Jensen-Shannon divergence between the branches.

        Compared at the coarse branch's resolution, and only when somebody asks: it explains, and
        no ranking reads it.
        """
        return branch_divergence(self.coarse, self.refined, self.stride)


def disagreement(
    coarse: NDArray[np.float32], refined: NDArray[np.float32], stride: int = COARSE_STRIDE
) -> DisagreementMap:
    """Compare two branches under V views.

    Parameters
    ----------
    coarse, refined
        Probabilities (V, K, H, W); every view lies on the slice.
    stride
        Pixels of the slice between two outputs of the coarse branch.
    """
    classes = coarse.shape[1]
    coarse_mean, refined_mean = (mean_over_views(p) for p in (coarse, refined))
    total = entropy(_middle(coarse_mean, refined_mean)) / np.float32(math.log(classes))
    return DisagreementMap(np.minimum(total, 1), coarse_mean, refined_mean, stride)


def entropy(p: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the entropy, in nats, of probabilities (K, H, W) at each pixel."""
    result = np.zeros(p.shape[1:], dtype=np.float32)
    for of_class in p:
        result -= of_class * np.log(np.maximum(of_class, _TINY))
    return np.maximum(result, 0)


def branch_divergence(
    coarse: NDArray[np.float32], refined: NDArray[np.float32], stride: int = COARSE_STRIDE
) -> NDArray[np.float32]:
    """Return the divergence of two outputs (K, H, W), in bits, 0 to 1.

    Both are first averaged to the coarse branch's resolution: compared raw, a refined edge
    that is merely sharper would look like doubt all along every boundary.
    """
    a, b = _down(coarse, stride), _down(refined, stride)
    divergence = entropy(_middle(a, b)) - _middle(entropy(a), entropy(b))
    height, width = coarse.shape[1:]
    wide = functional.interpolate(
        torch.from_numpy(divergence)[None, None],
        scale_factor=stride,
        mode="bilinear",
        align_corners=False,
    )
    scaled = wide[0, 0, :height, :width].numpy() / np.float32(math.log(2))
    bits: NDArray[np.float32] = np.clip(scaled, 0, 1, dtype=np.float32)
    return bits


def mutual_information(
    coarse: NDArray[np.float32], refined: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return what views and branches (V, K, H, W) disagree about, (H, W), 0 to 1.

    The entropy of the mean of all answers minus the mean of their entropies, over log K: the part
    of the total doubt that more knowledge would remove (BALD, Houlsby et al. 2011).
    """
    answers = [*coarse, *refined]
    total = entropy(_middle(mean_over_views(coarse), mean_over_views(refined)))
    own = np.mean([entropy(p) for p in answers], axis=0, dtype=np.float32)
    information: NDArray[np.float32] = np.clip(
        (total - own) / np.float32(math.log(coarse.shape[1])), 0, 1, dtype=np.float32
    )
    return information


def pairwise_doubt(coarse: NDArray[np.float32], refined: NDArray[np.float32]) -> float | None:
    """Return one minus the mean pairwise Dice of all views and branches (V, K, H, W), 0 to 1.

    A class that neither of a pair sees does not count for the pair; None: nobody sees any. Zenk
    et al., MedIA 2025.
    """
    labels = np.concatenate([coarse, refined]).argmax(axis=1)
    agreed = []
    for one, other in combinations(labels, 2):
        for k in range(1, coarse.shape[1]):
            a, b = one == k, other == k
            if a.any() or b.any():
                agreed.append(dice(a, b))
    return 1.0 - float(np.mean(agreed)) if agreed else None


def mean_over_views(p: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average (V, K, H, W) over its first axis."""
    mean: NDArray[np.float32] = p[0] if len(p) == 1 else p.mean(axis=0, dtype=np.float32)
    return mean


def _middle(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    return (a + b) * np.float32(0.5)


def _down(p: NDArray[np.float32], stride: int) -> NDArray[np.float32]:
    """Average (K, H, W) over squares of the coarse stride; ragged edges average what is there."""
    pooled = functional.avg_pool2d(torch.from_numpy(p)[None], stride, ceil_mode=True)
    return np.asarray(pooled[0].numpy(), dtype=np.float32)
