from __future__ import annotations

import numpy as np
import pytest

from napari_crii.benchmark.detection import (
    PIXEL_MEASURES,
    auprc,
    aurc,
    auroc,
    ause,
    captured,
    captured_in_patches,
    ece,
    pixel_measures,
    spearman,
)


def example(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return rng.integers(0, 12, 80) / 11, rng.random(80) < 0.3


def test_auroc_equals_a_loop_over_pairs(rng: np.random.Generator) -> None:
    score, wrong = example(rng)
    pairs = [(s > r) + 0.5 * (s == r) for s in score[wrong] for r in score[~wrong]]
    assert auroc(score, wrong) == pytest.approx(np.mean(pairs))


def test_auprc_equals_a_loop_over_thresholds(rng: np.random.Generator) -> None:
    score, wrong = example(rng)
    total, recall = 0.0, 0.0
    for threshold in sorted(set(score), reverse=True):
        kept = score >= threshold
        now = wrong[kept].sum() / wrong.sum()
        total += (now - recall) * wrong[kept].mean()
        recall = now
    assert auprc(score, wrong) == pytest.approx(total)


def test_perfect_chance_and_inverted_scores(rng: np.random.Generator) -> None:
    wrong = rng.random(2000) < 0.1
    for measure, perfect in ((auroc, 1.0), (auprc, 1.0), (ause, 0.0)):
        assert measure(wrong.astype(float), wrong) == pytest.approx(perfect)
    assert auroc(-wrong.astype(float), wrong) == 0
    assert auroc(rng.random(2000), wrong) == pytest.approx(0.5, abs=0.08)
    assert ause(-wrong.astype(float), wrong) > ause(rng.random(2000), wrong) > 0.2


def test_without_errors_there_is_no_figure() -> None:
    score, none = np.linspace(0, 1, 5), np.zeros(5, dtype=bool)
    assert all(np.isnan(f(score, none)) for f in (auroc, auprc, ause))
    assert np.isnan(captured(score, none, 0.5))
    assert np.isnan(auroc(score, ~none))


def test_calibration_error_is_the_gap_weighted_by_pixels() -> None:
    probability = np.array([0.1] * 10 + [0.9] * 30)
    wrong = np.array([True] * 2 + [False] * 8 + [True] * 18 + [False] * 12)
    assert ece(probability, wrong) == pytest.approx((10 * 0.1 + 30 * 0.3) / 40)
    assert ece(np.array([0.0, 1.0]), np.array([False, True])) == 0


def test_all_measures_of_pixels_bear_their_names(rng: np.random.Generator) -> None:
    score, wrong = example(rng)
    found = pixel_measures(score / score.max(), wrong, is_probability=True)
    assert tuple(found) == PIXEL_MEASURES
    assert found["captured5"] == captured(score, wrong, 0.05)
    assert np.isnan(pixel_measures(score, wrong, is_probability=False)["ece"])


def test_captured_counts_the_errors_on_top() -> None:
    score, wrong = np.arange(10.0), np.arange(10) >= 6
    assert [captured(score, wrong, s) for s in (0.1, 0.2, 0.4, 1)] == [0.25, 0.5, 1, 1]


def test_cases_in_the_right_order_have_least_risk() -> None:
    quality = np.array([0.9, 0.5, 0.7])
    assert aurc(1 - quality, quality) == pytest.approx(np.mean([0.1, 0.2, 0.3]))
    assert aurc(quality, quality) > aurc(1 - quality, quality)
    assert spearman(1 - quality, quality) == pytest.approx(1)
    assert np.isnan(spearman(np.ones(3), quality))


def test_errors_captured_in_patches_equal_a_loop_over_patches(rng: np.random.Generator) -> None:
    scores = [rng.random((20, 27)), rng.random((9, 8))]
    wrong = [rng.random(s.shape) < 0.2 for s in scores]
    found = []
    for score, errors in zip(scores, wrong, strict=True):
        for top in range(0, score.shape[0], 8):
            for left in range(0, score.shape[1], 8):
                here = slice(top, top + 8), slice(left, left + 8)
                found.append((score[here].sum(), errors[here].sum()))
    best = sum(errors for _, errors in sorted(found, reverse=True)[:3])
    total = sum(w.sum() for w in wrong)
    assert captured_in_patches(scores, wrong, 3, 8) == pytest.approx(best / total)
    assert captured_in_patches(scores, wrong, 100, 8) == 1
    none = [np.zeros_like(w) for w in wrong]
    assert np.isnan(captured_in_patches(scores, none, 3, 8))
