"""Differences between runs: paired by patient and draw, with an interval over patients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_crii.benchmark.paired import difference_cell, paired_difference, resampled_mean


def run(draw: int, patients: dict[str, float], field: str = "patients") -> dict[str, Any]:
    return {"draw": draw, field: patients}


def test_differences_are_paired_by_patient_and_draw() -> None:
    ours = [run(d, {"a": 0.9, "b": 0.8}) for d in (0, 1)]
    theirs = [run(0, {"b": 0.7, "a": 0.8}), run(1, {"a": 0.8, "b": 0.7})]
    assert paired_difference(ours, theirs) == pytest.approx((0.1, 0.1, 0.1))
    theirs[1] = run(1, {"a": 0.3, "b": 0.7})
    mean, low, high = paired_difference(ours, theirs) or (0, 0, 0)
    assert mean == pytest.approx(0.225)
    assert (low, high) == pytest.approx((0.1, 0.35))
    assert paired_difference(ours, [run(2, {"a": 0.5})]) is None


def test_folds_of_a_draw_are_one_and_fields_are_chosen_by_name() -> None:
    ours = [run(0, {"a": 0.5}, "nsd"), run(0, {"b": 0.5}, "nsd")]
    theirs = [run(0, {"a": 0.25, "b": 0.25}, "nsd")]
    assert paired_difference(ours, theirs, "nsd") == (0.25, 0.25, 0.25)
    assert difference_cell(ours, theirs, "nsd") == "+0.250 (+0.250 to +0.250)"
    assert difference_cell(ours, [run(1, {"a": 0.5}, "nsd")], "nsd") == ""


def test_the_interval_of_a_mean_is_that_of_the_normal_law_where_patients_are_many(
    rng: np.random.Generator,
) -> None:
    draws = [rng.normal(size=400) + draw for draw in range(3)]
    mean, low, high = resampled_mean(draws)
    spread = np.sqrt(sum(d.var() / len(d) for d in draws)) / len(draws)
    assert mean == pytest.approx(np.mean([d.mean() for d in draws]))
    assert (high - low) / 2 == pytest.approx(1.96 * spread, rel=0.08)
    assert (low + high) / 2 == pytest.approx(mean, abs=spread / 5)
