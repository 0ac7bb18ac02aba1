"""Which patches of a slice are worth a look, worst first, and the kind of doubt in each.

From a map of doubt, as `napari_crii.disagreement` makes it, proposed labels and grey values to a
few squares that do not overlap. The order over a whole scan is that of `napari_crii.patches`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from napari_crii.edges import contrast_to_noise, edge_distance
from napari_crii.patches import Box, Patch, Reason, tiles

BOUNDARY_BAND = 3
PATCH_SIZE = 32
MINIMUM_SCORE = 0.05
TILE_SIZE = 16


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


def low_contrast_tiles(
    score: NDArray[np.float32],
    labels: NDArray[np.integer],
    image: NDArray[np.generic],
    low_contrast: float,
) -> NDArray[np.bool_]:
    """Return the tiles of 16 pixels (H, W) in which doubt is high and contrast is low.

    Parameters are those of `rank_patches`; a tile without a proposed edge is none of them.
    """
    grey = image if image.ndim == 2 else image.mean(axis=-1)
    found = np.zeros(labels.shape, dtype=bool)
    for box in tiles((labels.shape[0], labels.shape[1]), TILE_SIZE, TILE_SIZE):
        where = box.slices
        if float(score[where].mean()) >= MINIMUM_SCORE:
            found[where] |= _lowest_contrast(grey[where], labels[where]) < low_contrast
    return found


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


def _window_means(score: NDArray[np.float32], size: int) -> tuple[NDArray[np.float64], int, int]:
    """Return the mean of every window that lies inside, by its corner, and a window's sides."""
    height, width = min(size, score.shape[0]), min(size, score.shape[1])
    total = np.zeros((score.shape[0] + 1, score.shape[1] + 1))
    total[1:, 1:] = score.cumsum(axis=0, dtype=np.float64).cumsum(axis=1)
    rows = total[height:] - total[:-height]
    return (rows[:, width:] - rows[:, :-width]) / (height * width), height, width
