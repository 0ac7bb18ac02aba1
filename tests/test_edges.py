"""Edges between classes: how far they are, and what stands out across them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from napari_crii.edges import contrast_to_noise, edge_distance


def test_contrast_to_noise_has_its_closed_form(rng: np.random.Generator) -> None:
    grey = rng.normal(0, 1, (30, 40)) + 5 * (np.arange(40) < 17)
    inside = np.broadcast_to(np.arange(40) < 17, (30, 40))
    a, b = grey[inside], grey[~inside]
    expected = abs(a.mean() - b.mean()) / math.sqrt(a.var() + b.var())
    assert contrast_to_noise(grey, inside) == pytest.approx(expected)
    assert contrast_to_noise(grey, np.zeros((30, 40), dtype=bool)) == math.inf
    assert contrast_to_noise(grey, np.ones((30, 40), dtype=bool)) == math.inf
    assert contrast_to_noise(1.0 * inside, inside) == math.inf
    assert contrast_to_noise(np.zeros((30, 40)), inside) == 0


def test_the_edge_distance_is_the_distance_to_the_nearest_edge_pixel(
    rng: np.random.Generator,
) -> None:
    labels = (rng.random((13, 17)) > 0.9).astype(int)
    edges = [
        (i, j)
        for i, j in np.ndindex(*labels.shape)
        for di, dj in ((0, 1), (1, 0), (0, -1), (-1, 0))
        if 0 <= i + di < 13 and 0 <= j + dj < 17 and labels[i, j] != labels[i + di, j + dj]
    ]
    found = edge_distance(labels)
    for i, j in np.ndindex(*labels.shape):
        assert found[i, j] == pytest.approx(min(math.dist((i, j), e) for e in edges), abs=1e-5)
    assert np.isinf(edge_distance(np.ones((4, 5), dtype=int))).all()
