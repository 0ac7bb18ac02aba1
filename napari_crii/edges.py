"""Where classes meet on a slice: the distance to the nearest boundary, and the contrast across it.

Plain measures of labels and grey values, in pixels and without units. They know of no network: the
ranking of patches, the features of doubt and the benchmarks read them alike.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def edge_distance(labels: NDArray[np.integer]) -> NDArray[np.float32]:
    """Return each pixel's distance to the nearest class boundary, (H, W), in pixels.

    The pixels on both sides of a boundary are at 0. Infinite where labels (H, W) are of one class.
    """
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

    Grey values and foreground are of one shape, whichever. Infinite where foreground or surround is
    absent: nothing there is low in contrast.
    """
    inside, outside = grey[foreground].astype(np.float64), grey[~foreground].astype(np.float64)
    if not inside.size or not outside.size:
        return math.inf
    noise = math.sqrt(inside.var() + outside.var())
    difference = abs(float(inside.mean() - outside.mean()))
    return difference / noise if noise > 0 else (math.inf if difference > 0 else 0.0)
