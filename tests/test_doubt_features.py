"""Features of doubt: in their order, finite, each what it is called."""

from __future__ import annotations

import math

import numpy as np
import pytest

from napari_crii.disagreement import branch_divergence, entropy
from napari_crii.doubt_features import FEATURES, doubt_features, local_contrast
from tests.factories import probabilities


def test_features_come_in_their_order_and_are_finite(rng: np.random.Generator) -> None:
    coarse, refined = (probabilities(rng, 1, 20, 24, 2) for _ in range(2))
    grey = rng.normal(size=(20, 24))
    found = dict(
        zip(FEATURES, np.moveaxis(doubt_features(coarse, refined, grey), -1, 0), strict=True)
    )
    np.testing.assert_allclose(found["refined_entropy"], entropy(refined[0]) / math.log(2), 1e-5)
    np.testing.assert_array_equal(found["branches"], branch_divergence(coarse[0], refined[0]))
    np.testing.assert_array_equal(found["local_contrast"], local_contrast(grey))
    sure = np.stack([np.ones((20, 24)), np.zeros((20, 24))]).astype(np.float32)[None]
    flat = doubt_features(sure, sure, np.zeros((20, 24)))
    assert np.isfinite(flat).all()
    assert flat[..., FEATURES.index("edge_distance")].min() == 1


def test_local_contrast_is_relative_and_peaks_at_an_edge() -> None:
    grey = np.zeros((40, 40))
    grey[:, 20:] = 1
    found = local_contrast(grey)
    np.testing.assert_allclose(found, local_contrast(300 * grey + 7), atol=1e-5)
    assert found[20, 20] == pytest.approx(1.0, abs=0.02)
    assert found[20, 5] < 1e-3
