"""Features of doubt: in their order, finite, each what it is called."""

from __future__ import annotations

import math

import numpy as np

from napari_crii.disagreement import branch_divergence, entropy
from napari_crii.doubt_features import FEATURES, doubt_features
from tests.factories import probabilities


def test_features_come_in_their_order_as_logarithms(rng: np.random.Generator) -> None:
    coarse, refined = (probabilities(rng, 2, 20, 24, 3) for _ in range(2))
    found = dict(zip(FEATURES, np.moveaxis(doubt_features(coarse, refined), -1, 0), strict=True))
    both, one = (np.concatenate([coarse, refined]).mean(axis=0), refined.mean(axis=0))
    expected = {
        "refined_entropy": entropy(one) / math.log(3),
        "total_entropy": entropy(both) / math.log(3),
        "branches": branch_divergence(coarse.mean(axis=0), one),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(np.exp(found[name]), values, rtol=1e-3, atol=3e-6)


def test_where_nothing_is_in_doubt_they_are_finite_and_the_same() -> None:
    sure = np.stack([np.ones((20, 24)), np.zeros((20, 24))]).astype(np.float32)[None]
    flat = doubt_features(sure, sure)
    assert np.isfinite(flat).all()
    assert np.ptp(flat) < 1e-3
