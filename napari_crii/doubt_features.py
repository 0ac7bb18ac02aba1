"""What a calibrator reads at each pixel: seven features of doubt, of the edge and of the image.

`napari_crii.calibration` turns them into a probability of error; `FEATURES` is their order.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_crii.disagreement import (
    COARSE_STRIDE,
    disagreement,
    entropy,
    mean_over_views,
    mutual_information,
)
from napari_crii.edges import edge_distance

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
    mean = mean_over_views(refined)
    distance = np.minimum(edge_distance(mean.argmax(axis=0)), _FARTHEST_EDGE) / _FARTHEST_EDGE
    parts = (
        entropy(mean) / scale,
        entropy(mean_over_views(coarse)) / scale,
        doubt.branches,
        doubt.score,
        mutual_information(coarse, refined),
        distance,
        local_contrast(grey),
    )
    return np.stack(parts, axis=-1).astype(np.float32)


def local_contrast(grey: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return the standard deviation around each pixel over that of the slice (H, W).

    Around is a square of nine pixels; beyond the slice its border repeats.
    """
    values = grey.astype(np.float64) - grey.mean(dtype=np.float64)
    mean = ndimage.uniform_filter(values, _CONTRAST_WINDOW, mode="nearest")
    square = ndimage.uniform_filter(values**2, _CONTRAST_WINDOW, mode="nearest")
    deviation = np.sqrt(np.maximum(square - mean**2, 0))
    return np.asarray(deviation / max(float(values.std()), 1e-6), dtype=np.float32)
