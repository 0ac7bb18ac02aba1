"""Differences paired by patient and draw, with intervals that resample patients within draws."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_crii.benchmark.runs import Run

_RESAMPLES = 2000

Interval = tuple[float, float, float]


def paired_difference(
    ours: Sequence[Run], theirs: Sequence[Run], field: str = "patients", seed: int = 0
) -> Interval | None:
    """Return the mean difference and its 95 % interval; None without a common patient.

    Patients are resampled within draws, draws stay as they are.

    Parameters
    ----------
    field
        Of the runs: a measure by patient, their Dice unless told otherwise.
    """
    mine, other = by_draw(ours, field), by_draw(theirs, field)
    pairs = []
    for draw in sorted(mine.keys() & other.keys()):
        common = sorted(mine[draw].keys() & other[draw].keys())
        if common:
            pairs.append(np.array([mine[draw][p] - other[draw][p] for p in common]))
    return resampled_mean(pairs, seed) if pairs else None


def difference_cell(ours: Sequence[Run], theirs: Sequence[Run], field: str = "patients") -> str:
    """Return `paired_difference` as a cell of a table, empty without a common patient."""
    found = paired_difference(ours, theirs, field)
    return "" if found is None else f"{found[0]:+.3f} ({found[1]:+.3f} to {found[2]:+.3f})"


def resampled_mean(draws: Sequence[NDArray[np.float64]], seed: int = 0) -> Interval:
    """Return the mean over draws of a measure of their patients, and its 95 % interval."""
    rng = np.random.default_rng(seed)
    means = np.mean(
        [d[rng.integers(len(d), size=(_RESAMPLES, len(d)))].mean(axis=1) for d in draws], axis=0
    )
    low, high = np.percentile(means, [2.5, 97.5])
    return float(np.mean([d.mean() for d in draws])), float(low), float(high)


def by_draw(runs: Sequence[Run], field: str = "patients") -> dict[int, dict[str, float]]:
    """Return a measure by draw and patient, of all folds of the draw together."""
    found: dict[int, dict[str, float]] = defaultdict(dict)
    for run in runs:
        found[run["draw"]].update(run[field])
    return found
