"""Where the network doubts: a map per slice, and the patches worth a look.

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
from scipy import ndimage
from torch.nn import functional

from napari_crii.patches import Box, Patch, Reason

COARSE_STRIDE = 4
BOUNDARY_BAND = 3
PATCH_SIZE = 32
MINIMUM_SCORE = 0.05
FEATURES = (
    "refined_entropy",
    "coarse_entropy",
    "branches",
    "views",
    "information",
    "edge_distance",
    "local_contrast",
)
_FARTHEST_EDGE = 32.0
_CONTRAST_WINDOW = 9
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
    coarse_mean, refined_mean = (_mean(p) for p in (coarse, refined))
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
    total = entropy(_middle(_mean(coarse), _mean(refined)))
    own = np.mean([entropy(p) for p in answers], axis=0, dtype=np.float32)
    information: NDArray[np.float32] = np.clip(
        (total - own) / np.float32(math.log(coarse.shape[1])), 0, 1, dtype=np.float32
    )
    return information


def doubt_features(
    coarse: NDArray[np.float32],
    refined: NDArray[np.float32],
    grey: NDArray[np.floating],
    stride: int = COARSE_STRIDE,
) -> NDArray[np.float32]:
    """Return what a calibrator reads at each pixel, (H, W, F), in the order of `FEATURES`.

    Parameters
    ----------
    coarse, refined
        Probabilities (V, K, H, W).
    grey
        (H, W) grey values in any unit.
    """
    scale = np.float32(math.log(coarse.shape[1]))
    doubt = disagreement(coarse, refined, stride)
    mean = _mean(refined)
    distance = np.minimum(edge_distance(mean.argmax(axis=0)), _FARTHEST_EDGE) / _FARTHEST_EDGE
    parts = (
        entropy(mean) / scale,
        entropy(_mean(coarse)) / scale,
        doubt.branches,
        doubt.score,
        mutual_information(coarse, refined),
        distance,
        local_contrast(grey),
    )
    return np.stack(parts, axis=-1).astype(np.float32)


def local_contrast(grey: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return the standard deviation around each pixel over that of the slice (H, W)."""
    values = grey.astype(np.float64) - grey.mean(dtype=np.float64)
    mean = ndimage.uniform_filter(values, _CONTRAST_WINDOW, mode="nearest")
    square = ndimage.uniform_filter(values**2, _CONTRAST_WINDOW, mode="nearest")
    deviation = np.sqrt(np.maximum(square - mean**2, 0))
    return np.asarray(deviation / max(float(values.std()), 1e-6), dtype=np.float32)


def case_doubt(coarse: NDArray[np.float32], refined: NDArray[np.float32]) -> float:
    """Return one minus the mean pairwise Dice of all views and branches (V, K, H, W), 0 to 1.

    Pairs in which neither sees a class agree about it. Zenk et al., MedIA 2025.
    """
    labels = np.concatenate([coarse, refined]).argmax(axis=1)
    agreed = []
    for one, other in combinations(labels, 2):
        for k in range(1, coarse.shape[1]):
            total = np.count_nonzero(one == k) + np.count_nonzero(other == k)
            if total:
                agreed.append(2 * np.count_nonzero((one == k) & (other == k)) / total)
    return 1.0 - float(np.mean(agreed)) if agreed else 0.0


def rank_patches(
    score: NDArray[np.float32],
    labels: NDArray[np.integer],
    image: NDArray[np.generic],
    index: int,
    low_contrast: float,
    most: int = 5,
) -> list[Patch]:
    """Return the most doubtful patches of a slice, worst first, none overlapping.

    Parameters
    ----------
    score
        (H, W), as in `DisagreementMap.score`.
    labels
        (H, W) proposed classes.
    image
        (H, W) or (H, W, 3) grey values or colours as stored.
    index
        The slice's index, copied into the patches.
    low_contrast
        Contrast-to-noise ratio across the proposed edge below which it counts as low.
    most
        How many patches at the most.
    """
    grey = image if image.ndim == 2 else image.mean(axis=-1)
    edge = edge_distance(labels)
    means, height, width = _window_means(score, PATCH_SIZE)
    patches: list[Patch] = []
    while len(patches) < most:
        top, left = (int(i) for i in np.unravel_index(int(means.argmax()), means.shape))
        value = float(means[top, left])
        if value < MINIMUM_SCORE:
            break
        box = Box(top, left, top + height, left + width)
        reason = _reason(box, score, labels, grey, edge, low_contrast)
        patches.append(Patch(index, box, round(value, 4), reason))
        # No window that shares a pixel with this one.
        means[max(0, top - height + 1) : top + height, max(0, left - width + 1) : left + width] = -1
    return patches


def edge_distance(labels: NDArray[np.integer]) -> NDArray[np.float32]:
    """Return each pixel's distance, in pixels, to the nearest class boundary (H, W)."""
    edges = np.zeros(labels.shape, dtype=bool)
    horizontal, vertical = labels[:, 1:] != labels[:, :-1], labels[1:] != labels[:-1]
    edges[:, 1:] |= horizontal
    edges[:, :-1] |= horizontal
    edges[1:] |= vertical
    edges[:-1] |= vertical
    if not edges.any():
        return np.full(labels.shape, np.inf, dtype=np.float32)
    distance: NDArray[np.float32] = ndimage.distance_transform_edt(~edges).astype(np.float32)
    return distance


def contrast_to_noise(grey: NDArray[np.generic], foreground: NDArray[np.bool_]) -> float:
    """Return |difference of means| / sqrt(sum of variances) of foreground and surround.

    Infinite where one of the two is absent: nothing there is low in contrast.
    """
    inside, outside = grey[foreground].astype(np.float64), grey[~foreground].astype(np.float64)
    if not inside.size or not outside.size:
        return math.inf
    noise = math.sqrt(inside.var() + outside.var())
    difference = abs(float(inside.mean() - outside.mean()))
    return difference / noise if noise > 0 else (math.inf if difference > 0 else 0.0)


def _reason(
    box: Box,
    score: NDArray[np.float32],
    labels: NDArray[np.integer],
    grey: NDArray[np.generic],
    edge: NDArray[np.float32],
    low_contrast: float,
) -> Reason:
    """Name the doubt that prevails in a box."""
    doubt, near = score[box.slices], edge[box.slices] <= BOUNDARY_BAND
    if _lowest_contrast(grey[box.slices], labels[box.slices]) < low_contrast:
        return Reason.LOW_CONTRAST
    on_boundary = float(doubt[near].sum()) >= 0.5 * float(doubt.sum())
    return Reason.BOUNDARY if on_boundary else Reason.REGION


def _lowest_contrast(grey: NDArray[np.generic], labels: NDArray[np.integer]) -> float:
    """Return the contrast of the class that stands out least; a lesion may lie in an organ."""
    classes = np.flatnonzero(np.bincount(labels.ravel()))
    found = (contrast_to_noise(grey, labels == label) for label in classes if label > 0)
    return min(found, default=math.inf)


def _middle(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    return (a + b) * np.float32(0.5)


def _mean(p: NDArray[np.float32]) -> NDArray[np.float32]:
    mean: NDArray[np.float32] = p[0] if len(p) == 1 else p.mean(axis=0, dtype=np.float32)
    return mean


def _window_means(score: NDArray[np.float32], size: int) -> tuple[NDArray[np.float64], int, int]:
    """Return the mean of every window that lies inside, by its corner, and a window's sides."""
    height, width = min(size, score.shape[0]), min(size, score.shape[1])
    total = np.zeros((score.shape[0] + 1, score.shape[1] + 1))
    total[1:, 1:] = score.cumsum(axis=0, dtype=np.float64).cumsum(axis=1)
    rows = total[height:] - total[:-height]
    return (rows[:, width:] - rows[:, :-width]) / (height * width), height, width


def _down(p: NDArray[np.float32], stride: int) -> NDArray[np.float32]:
    """Average (K, H, W) over squares of the coarse stride; ragged edges average what is there."""
    pooled = functional.avg_pool2d(torch.from_numpy(p)[None], stride, ceil_mode=True)
    return np.asarray(pooled[0].numpy(), dtype=np.float32)
