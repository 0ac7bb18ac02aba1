"""The curve of a run, before it is painted."""

from __future__ import annotations

import pytest

from napari_crii.widgets.curve import span, thinned

pytestmark = pytest.mark.napari


def test_a_long_curve_is_thinned_to_means_and_a_short_one_stays():
    points = [(float(i), float(i % 2)) for i in range(10)]
    assert thinned(points, 10) == points
    assert thinned(points, 5) == [(2 * i + 0.5, 0.5) for i in range(5)]
    assert len(thinned(points * 77, 100)) <= 100
    assert thinned([], 5) == []


def test_a_scale_is_never_so_narrow_that_noise_looks_like_news():
    assert span([0.2, 0.9], 0.1) == (0.2, 0.9)
    low, high = span([0.5], 0.1)
    assert (low, high) == pytest.approx((0.45, 0.55))
    assert span([], 0.1) == pytest.approx((-0.05, 0.05))
