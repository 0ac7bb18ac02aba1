"""Metrics agree with brute force and SimpleITK, and are never NaN."""

from __future__ import annotations

import math

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.spatial.distance import cdist

from napari_crii.metrics import Scores, dice, evaluate, hd95, nsd, surface_distances

SPACING = (3.0, 0.7, 1.3)


def blob(rng, shape, level=0.2) -> np.ndarray:
    return ndimage.gaussian_filter(rng.normal(size=shape), 1.5) > level * 0.3


def brute_force(a, b, spacing):
    """Return distances between boundaries from the definition, all pairs."""
    edges = []
    for mask in (a, b):
        padded = np.pad(mask, 1)
        inner = padded.copy()
        for axis in range(mask.ndim):
            inner &= np.roll(padded, 1, axis) & np.roll(padded, -1, axis)
        edge = (padded & ~inner)[tuple(slice(1, -1) for _ in mask.shape)]
        edges.append(np.argwhere(edge) * spacing)
    pairs = cdist(*edges)
    return pairs.min(axis=1), pairs.min(axis=0)


@pytest.mark.parametrize("shape", [(40,), (17, 23), (9, 14, 12)])
@pytest.mark.parametrize("seed", range(4))
def test_surface_distances_follow_from_their_definition(shape, seed):
    rng = np.random.default_rng(seed)
    a, b = blob(rng, shape), blob(rng, shape)
    spacing = SPACING[-len(shape) :]
    expected = brute_force(a, b, spacing)
    found = surface_distances(a, b, spacing)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs)
    assert hd95(a, b, spacing) == pytest.approx(max(np.percentile(d, 95) for d in expected))
    near = sum(np.count_nonzero(d <= 1.0) for d in expected)
    assert nsd(a, b, spacing, 1.0) == pytest.approx(near / sum(d.size for d in expected))


@pytest.mark.parametrize("seed", range(4))
def test_dice_and_the_largest_distance_equal_simpleitks(seed):
    rng = np.random.default_rng(seed)
    a, b = blob(rng, (9, 20, 15)), blob(rng, (9, 20, 15))
    images = [sitk.GetImageFromArray(m.astype(np.uint8)) for m in (a, b)]
    for image in images:
        image.SetSpacing(SPACING[::-1])
    overlap = sitk.LabelOverlapMeasuresImageFilter()
    overlap.Execute(*images)
    assert dice(a, b) == pytest.approx(overlap.GetDiceCoefficient())
    # SimpleITK measures over whole masks: only what sticks out counts, and that ends at edges.
    outside = [ndimage.distance_transform_edt(~m, sampling=SPACING) for m in (a, b)]
    hausdorff = sitk.HausdorffDistanceImageFilter()
    hausdorff.Execute(*images)
    expected = max(outside[1][a].max(), outside[0][b].max())
    assert hausdorff.GetHausdorffDistance() == pytest.approx(expected, rel=1e-5)
    assert max(d.max() for d in surface_distances(a, b, SPACING)) >= expected - 1e-9


def test_spheres_of_known_radii_are_as_far_apart_as_their_radii():
    z, y, x = np.indices((31, 61, 61)) - np.array([15, 30, 30]).reshape(3, 1, 1, 1)
    radius = np.sqrt((2 * z) ** 2 + y**2 + x**2)
    a, b = radius < 20.5, radius < 26.5
    assert hd95(a, b, (2, 1, 1)) == pytest.approx(6, abs=0.6)
    assert nsd(a, b, (2, 1, 1), 7.5) == 1
    assert nsd(a, b, (2, 1, 1), 4.0) == 0
    assert dice(a, b) == pytest.approx(2 * 20.5**3 / (20.5**3 + 26.5**3), abs=0.01)


@pytest.mark.parametrize("shape", [(5,), (4, 5), (3, 4, 5)])
def test_empty_masks_follow_the_stated_conventions(shape):
    empty, full = np.zeros(shape, bool), np.ones(shape, bool)
    spacing = SPACING[: len(shape)]
    for a, b, expected in (
        (empty, empty, (1, 1, 0)),
        (empty, full, (0, 0, math.inf)),
        (full, empty, (0, 0, math.inf)),
        (full, full, (1, 1, 0)),
    ):
        assert (dice(a, b), nsd(a, b, spacing, 1), hd95(a, b, spacing)) == expected


@given(st.integers(0, 10_000), st.integers(1, 3), st.floats(0.1, 5))
@settings(max_examples=60)
def test_metrics_are_symmetric_bounded_and_scale_with_the_voxel(seed, axes, scale):
    rng = np.random.default_rng(seed)
    shape = (7, 9, 8)[:axes]
    a, b = rng.random(shape) > rng.random(), rng.random(shape) > rng.random()
    spacing = np.array(SPACING[:axes])
    for metric in (dice, lambda p, q: nsd(p, q, spacing, 1.0), lambda p, q: hd95(p, q, spacing)):
        assert metric(a, b) == metric(b, a)
        assert not math.isnan(metric(a, b))
    assert 0 <= dice(a, b) <= 1
    assert 0 <= nsd(a, b, spacing, 1.0) <= 1
    assert hd95(a, b, spacing * scale) == pytest.approx(hd95(a, b, spacing) * scale)
    assert (
        nsd(a, b, spacing * scale, scale) == pytest.approx(nsd(a, b, spacing, 1.0), abs=1e-9)
        or np.isclose(surface_distances(a, b, spacing)[0], 1.0).any()
    )


@given(st.integers(0, 10_000), st.permutations(range(3)))
@settings(max_examples=30)
def test_metrics_do_not_depend_on_the_order_of_axes(seed, order):
    rng = np.random.default_rng(seed)
    a, b = rng.random((5, 6, 7)) > 0.6, rng.random((5, 6, 7)) > 0.5
    turned = [SPACING[i] for i in order]
    assert hd95(a, b, SPACING) == pytest.approx(
        hd95(a.transpose(order), b.transpose(order), turned)
    )


def test_classes_are_scored_apart():
    reference = np.zeros((4, 8, 8), int)
    reference[1:3, 1:4, 1:4], reference[1:3, 5:7, 5:7] = 1, 2
    prediction = np.where(reference == 2, 0, reference)
    scores = evaluate(prediction, reference, SPACING, (1, 2, 3))
    assert scores[1] == Scores(1.0, 1.0, 0.0)
    assert scores[2] == Scores(0.0, 0.0, math.inf)
    assert scores[3] == Scores(1.0, 1.0, 0.0)


def test_masks_that_cannot_be_compared_are_refused():
    with pytest.raises(ValueError, match="cannot be compared"):
        dice(np.zeros((2, 3)), np.zeros((3, 2)))
    with pytest.raises(ValueError, match="spacings"):
        hd95(np.zeros((2, 3)), np.zeros((2, 3)), SPACING)
