from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_crii.disagreement import (
    FEATURES,
    MINIMUM_SCORE,
    branch_divergence,
    case_doubt,
    contrast_to_noise,
    disagreement,
    doubt_features,
    edge_distance,
    entropy,
    local_contrast,
    mutual_information,
    rank_patches,
)
from napari_crii.metrics import dice
from napari_crii.patches import Box, Patch, Reason, order_patches
from tests.factories import disc


def probabilities(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Return probabilities (..., K, H, W) for a shape (..., H, W, K)."""
    *_, classes = shape
    drawn = rng.dirichlet(np.full(classes, 0.5), shape[:-1])
    return np.moveaxis(drawn, -1, -3).astype(np.float32).copy()


def binary(p: np.ndarray) -> np.ndarray:
    return np.stack([1 - p, p]).astype(np.float32)


def squares(p: np.ndarray, size: int = 4) -> np.ndarray:
    return np.repeat(np.repeat(p, size, axis=-2), size, axis=-1)


def test_no_divergence_where_the_branches_agree_at_the_coarse_resolution(
    rng: np.random.Generator,
) -> None:
    refined = probabilities(rng, 24, 36, 3)
    # The same averages over squares of four, arranged otherwise inside each square.
    coarse = squares(refined.reshape(3, 6, 4, 9, 4).mean(axis=(2, 4)))
    assert not np.allclose(coarse, refined)
    assert branch_divergence(coarse, refined).max() < 1e-6
    assert branch_divergence(refined, refined).max() == 0


@pytest.mark.parametrize("classes", [2, 4])
def test_divergence_is_that_of_jensen_and_shannon_in_bits(
    rng: np.random.Generator, classes: int
) -> None:
    a, b = (probabilities(rng, 5, 7, classes) for _ in range(2))

    def kl(p: np.ndarray, q: np.ndarray) -> np.ndarray:
        return np.sum(p * np.log2(np.maximum(p, 1e-30) / np.maximum(q, 1e-30)), axis=0)

    middle = (a + b) / 2
    expected = (kl(a, middle) + kl(b, middle)) / 2
    # A constant image has no interpolation: one square of constants at a time.
    for i, j in np.ndindex(5, 7):
        flat = [np.broadcast_to(p[:, i, j, None, None], (classes, 8, 12)).copy() for p in (a, b)]
        found = branch_divergence(flat[0], flat[1])
        np.testing.assert_allclose(found, expected[i, j], atol=2e-5)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 9999), st.integers(1, 23), st.integers(1, 23), st.integers(2, 4))
def test_the_map_stays_between_0_and_1_on_slices_of_any_size(
    seed: int, height: int, width: int, classes: int
) -> None:
    rng = np.random.default_rng(seed)
    coarse, refined = (probabilities(rng, 3, height, width, classes) for _ in range(2))
    doubt = disagreement(coarse, refined)
    for part in (doubt.score, doubt.branches):
        assert part.shape == (height, width)
        assert part.dtype == np.float32
        assert 0 <= part.min() <= part.max() <= 1


def test_opposite_branches_diverge_by_one_bit() -> None:
    sure = binary(np.zeros((16, 20)))
    np.testing.assert_allclose(branch_divergence(sure, sure[::-1].copy()), 1, atol=1e-5)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_entropy_has_its_closed_forms(classes: int) -> None:
    even = np.full((classes, 3, 4), 1 / classes, dtype=np.float32)
    np.testing.assert_allclose(entropy(even), math.log(classes), rtol=1e-6)
    sure = np.zeros((classes, 3, 4), dtype=np.float32)
    sure[1] = 1
    assert np.array_equal(entropy(sure), np.zeros((3, 4)))
    pair = np.zeros((classes, 3, 4), dtype=np.float32)
    pair[0], pair[1] = 0.25, 0.75
    expected = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    np.testing.assert_allclose(entropy(pair), expected, rtol=1e-6)


def test_the_score_is_the_entropy_of_the_mean_over_views_and_branches(
    rng: np.random.Generator,
) -> None:
    coarse, refined = (probabilities(rng, 4, 9, 11, 3) for _ in range(2))
    mean = np.concatenate([coarse, refined]).astype(float).mean(axis=0)
    expected = -(mean * np.log(mean)).sum(axis=0) / math.log(3)
    np.testing.assert_allclose(disagreement(coarse, refined).score, expected, atol=1e-5)


def test_views_that_contradict_each_other_are_doubt() -> None:
    sure = binary(np.zeros((8, 12)))
    views = np.stack([sure, sure[::-1]])
    np.testing.assert_allclose(disagreement(views, views).score, 1, atol=1e-6)
    assert disagreement(views[:1], views[:1]).score.max() == 0


# --- patches


def greedy(score: np.ndarray, most: int, size: int = 32) -> list[tuple[float, Box]]:
    """Try every box inside the slice, one by one."""
    height, width = (min(size, n) for n in score.shape)
    boxes = [
        Box(top, left, top + height, left + width)
        for top in range(score.shape[0] - height + 1)
        for left in range(score.shape[1] - width + 1)
    ]
    rated = [(float(score[b.slices].mean(dtype=np.float64)), b) for b in boxes]
    chosen: list[tuple[float, Box]] = []
    while rated and len(chosen) < most:
        best = max(rated, key=lambda r: r[0])
        if best[0] < MINIMUM_SCORE:
            break
        chosen.append(best)
        rated = [r for r in rated if not r[1].overlaps(best[1])]
    return chosen


def ranked(score: np.ndarray, most: int = 5) -> list[Patch]:
    labels = np.zeros(score.shape, dtype=np.uint8)
    return rank_patches(score.astype(np.float32), labels, np.zeros(score.shape), 3, 1.0, most)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 9999), st.integers(1, 80), st.integers(1, 100), st.integers(1, 6))
def test_patches_are_those_of_trying_every_box(
    seed: int, height: int, width: int, most: int
) -> None:
    rng = np.random.default_rng(seed)
    score = rng.random((height, width)) ** rng.integers(1, 30)
    patches = ranked(score, most)
    expected = greedy(score.astype(np.float32), most)
    assert [p.box for p in patches] == [box for _, box in expected]
    assert [p.score for p in patches] == [round(value, 4) for value, _ in expected]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 9999), st.integers(1, 120), st.integers(1, 120))
def test_patches_never_overlap_lie_inside_and_come_worst_first(
    seed: int, height: int, width: int
) -> None:
    score = 0.1 + 0.9 * np.random.default_rng(seed).random((height, width))
    patches = ranked(score)
    assert patches
    assert all(p.slice == 3 for p in patches)
    assert not any(a.box.overlaps(b.box) for a, b in combinations(patches, 2))
    for patch in patches:
        assert score[patch.box.slices].shape == (min(32, height), min(32, width))
        assert 0 <= patch.box.top < patch.box.bottom <= height
        assert 0 <= patch.box.left < patch.box.right <= width
    assert [p.score for p in patches] == sorted((p.score for p in patches), reverse=True)


@pytest.mark.parametrize("shape", [(64, 90), (20, 90), (9, 5), (1, 1)])
def test_without_doubt_there_are_no_patches(shape: tuple[int, int]) -> None:
    assert ranked(np.zeros(shape)) == []
    assert ranked(np.full(shape, 0.9 * MINIMUM_SCORE)) == []


def test_a_small_slice_is_one_patch() -> None:
    patches = ranked(np.full((20, 27), 0.5))
    assert [(p.box, p.score) for p in patches] == [(Box(0, 0, 20, 27), 0.5)]


SHAPE = (72, 90)
OBJECT = disc(SHAPE, (36, 45), (13, 17))


def reason(score: np.ndarray, labels: np.ndarray, image: np.ndarray) -> Reason:
    found = rank_patches(score.astype(np.float32), labels.astype(np.uint8), image, 0, 1.0)
    return found[0].reason


def test_a_thin_rim_of_doubt_is_a_boundary(rng: np.random.Generator) -> None:
    image = 10.0 * OBJECT + rng.normal(0, 1, SHAPE)
    rim = 0.9 * (edge_distance(OBJECT.astype(int)) <= 1)
    assert reason(rim, OBJECT, image) is Reason.BOUNDARY
    assert reason(rim, OBJECT, np.repeat(image[..., None], 3, axis=2)) is Reason.BOUNDARY


def test_a_doubtful_blob_far_from_an_edge_is_a_region(rng: np.random.Generator) -> None:
    image = 10.0 * OBJECT + rng.normal(0, 1, SHAPE)
    blob = 0.9 * disc(SHAPE, (14, 72), (8, 8))
    assert reason(blob, OBJECT, image) is Reason.REGION


def test_an_object_hardly_brighter_than_the_noise_is_low_contrast(
    rng: np.random.Generator,
) -> None:
    image = 0.4 * OBJECT + rng.normal(0, 1, SHAPE)
    rim = 0.9 * (edge_distance(OBJECT.astype(int)) <= 1)
    assert reason(rim, OBJECT, image) is Reason.LOW_CONTRAST


def test_a_faint_lesion_inside_an_organ_is_low_contrast(rng: np.random.Generator) -> None:
    lesion = disc(SHAPE, (36, 45), (8, 9))
    labels = np.ones(SHAPE, dtype=int) + lesion
    image = 0.4 * lesion + rng.normal(0, 1, SHAPE)
    assert reason(0.9 * lesion, labels, image) is Reason.LOW_CONTRAST
    assert reason(0.9 * lesion, labels, image + 9 * lesion) is not Reason.LOW_CONTRAST


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


def test_thin_rims_come_last_and_the_worst_first_in_each_kind() -> None:
    box = Box(0, 0, 4, 4)
    rim, worse_rim = (Patch(0, box, s, Reason.BOUNDARY) for s in (0.3, 0.9))
    region, faint = Patch(1, box, 0.2, Reason.REGION), Patch(2, box, 0.4, Reason.LOW_CONTRAST)
    assert order_patches([rim, region, worse_rim, faint]) == [faint, region, worse_rim, rim]
    assert order_patches([]) == []


def test_information_is_what_answers_disagree_about(rng: np.random.Generator) -> None:
    coarse, refined = (probabilities(rng, 4, 9, 11, 3) for _ in range(2))
    answers = np.concatenate([coarse, refined]).astype(float)
    mean = answers.mean(axis=0)
    own = -(answers * np.log(answers + 1e-12)).sum(axis=1).mean(axis=0)
    expected = (-(mean * np.log(mean + 1e-12)).sum(axis=0) - own) / math.log(3)
    np.testing.assert_allclose(mutual_information(coarse, refined), expected, atol=1e-4)
    one = coarse[:1]
    assert mutual_information(one, one).max() < 1e-6


def test_sure_answers_that_contradict_are_information_and_unsure_ones_are_not() -> None:
    yes = binary(np.ones((1, 4, 4), np.float32))[:, 0][None]
    assert mutual_information(yes, yes[:, ::-1]).min() > 0.99
    half = np.full((1, 2, 4, 4), 0.5, np.float32)
    assert mutual_information(half, half).max() == 0


def test_doubt_about_a_case_is_one_minus_the_pairwise_dice(rng: np.random.Generator) -> None:
    coarse, refined = (probabilities(rng, 2, 12, 15, 3) for _ in range(2))
    labels = [p.argmax(axis=0) for p in (*coarse, *refined)]
    found = [dice(a == k, b == k) for a, b in combinations(labels, 2) for k in (1, 2)]
    assert case_doubt(coarse, refined) == pytest.approx(1 - np.mean(found))
    assert case_doubt(coarse[:1], coarse[:1]) == 0
    nothing = np.stack([np.ones((4, 4)), np.zeros((4, 4))]).astype(np.float32)[None]
    assert case_doubt(nothing, nothing) == 0


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
