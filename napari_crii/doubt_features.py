"""What a calibrator reads at each pixel: how little is known there, on a scale of logarithms.

`napari_crii.calibration` turns it into a probability of error. Far from every edge doubt is a
thousandth of what it is at one, and differs by factors all the same: a regression that is linear in
doubt itself cannot tell these pixels apart.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from napari_crii.disagreement import COARSE_STRIDE, disagreement, entropy, mean_over_views

FEATURES = ("refined_entropy", "total_entropy", "branches")
# What is less than a millionth is nothing.
_LEAST = np.float32(1e-6)


def doubt_features(
    coarse: NDArray[np.float32], refined: NDArray[np.float32], stride: int = COARSE_STRIDE
) -> NDArray[np.float32]:
    """Return what a calibrator reads at each pixel, (H, W, F), in the order of `FEATURES`.

    Logarithms of three numbers from 0 to 1: the entropy of the refined branch, mean over views;
    that of the mean over both branches and all views; the divergence of the branches.

    Parameters
    ----------
    coarse, refined
        Probabilities (V, K, H, W).
    stride
        As of `disagreement`.
    """
    doubt = disagreement(coarse, refined, stride)
    refined_entropy = entropy(mean_over_views(refined)) / np.float32(math.log(coarse.shape[1]))
    parts = np.stack((refined_entropy, doubt.score, doubt.branches), axis=-1)
    return np.log(np.maximum(parts, 0) + _LEAST).astype(np.float32)
