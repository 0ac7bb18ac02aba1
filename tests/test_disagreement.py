"""The map of doubt: closed forms, its bounds, and what agrees with whom."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_crii.disagreement import (
    COARSE_STRIDE,
    branch_divergence,
    disagreement,
    entropy,
    mutual_information,
    pairwise_doubt,
)
from napari_crii.metrics import dice
from napari_crii.networks import crii
from tests.factories import probabilities


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
    assert pairwise_doubt(coarse, refined) == pytest.approx(1 - np.mean(found))
    assert pairwise_doubt(coarse[:1], coarse[:1]) == 0
    nothing = np.stack([np.ones((4, 4)), np.zeros((4, 4))]).astype(np.float32)[None]
    assert pairwise_doubt(nothing, nothing) is None


def test_the_stride_taken_without_a_word_is_the_network_s() -> None:
    assert COARSE_STRIDE == crii.COARSE_STRIDE
