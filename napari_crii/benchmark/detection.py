"""How well a score finds errors: AUROC, AUPRC, AUSE, ECE, captured errors, AURC, Spearman."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

SHARES = (1, 5, 10, 25)
# Names of what `pixel_measures` returns.
PIXEL_MEASURES = ("auroc", "auprc", "ause", "ece", *(f"captured{share}" for share in SHARES))

Score = NDArray[np.floating[Any]]
Wrong = NDArray[np.bool_]


def auroc(score: Score, wrong: Wrong) -> float:
    """Return the chance that a wrong pixel scores above a right one, ties halved; NaN if none."""
    positives, negatives = int(wrong.sum()), int((~wrong).sum())
    if not positives or not negatives:
        return float("nan")
    ranks = stats.rankdata(score)
    return float((ranks[wrong].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def auprc(score: Score, wrong: Wrong) -> float:
    """Return the average precision; tied pixels come together."""
    if not wrong.any():
        return float("nan")
    order = np.argsort(-score, kind="stable")
    hits, ranked = np.cumsum(wrong[order]), score[order]
    last = np.append(ranked[1:] != ranked[:-1], True)
    seen, found = np.flatnonzero(last) + 1, hits[last]
    gained = np.diff(found, prepend=0) / found[-1]
    return float((gained * found / seen).sum())


def ause(score: Score, wrong: Wrong, steps: int = 50) -> float:
    """Return the area between the sparsification curves of a score and of the truth.

    The most doubtful share of pixels is removed, and the error rate of the others followed, as
    a share of the error rate of all (Ilg et al., ECCV 2018). 0 is perfect.
    """
    if not wrong.any():
        return float("nan")
    ours = _sparsification(wrong[np.argsort(-score, kind="stable")], steps)
    best = _sparsification(np.sort(wrong)[::-1], steps)
    return float((ours - best).mean() / wrong.mean())


def ece(probability: Score, wrong: Wrong, bins: int = 15) -> float:
    """Return the expected calibration error over bins of equal width."""
    index = np.minimum((probability * bins).astype(int), bins - 1)
    count = np.bincount(index, minlength=bins)
    said = np.bincount(index, probability, minlength=bins)
    true = np.bincount(index, wrong, minlength=bins)
    return float(np.abs(said - true).sum() / max(1, count.sum()))


def captured(score: Score, wrong: Wrong, share: float) -> float:
    """Return which part of all errors lies in the top `share` of pixels."""
    if not wrong.any():
        return float("nan")
    kept = max(1, round(share * len(score)))
    return float(wrong[np.argsort(-score, kind="stable")[:kept]].sum() / wrong.sum())


def pixel_measures(score: Score, wrong: Wrong, is_probability: bool) -> dict[str, float]:
    """Return every measure of pixels by name; ``ece`` of a probability only, else NaN.

    ``captured5`` is the part of all errors in the top 5 % of the pixels, and so on.
    """
    return {
        "auroc": auroc(score, wrong),
        "auprc": auprc(score, wrong),
        "ause": ause(score, wrong),
        "ece": ece(score, wrong) if is_probability and len(score) else float("nan"),
        **{f"captured{share}": captured(score, wrong, share / 100) for share in SHARES},
    }


def captured_in_patches(
    scores: Sequence[Score], wrong: Sequence[Wrong], count: int = 10, side: int = 16
) -> float:
    """Return which part of a case's errors lies in the patches that score highest in sum.

    Parameters
    ----------
    scores, wrong
        The slices of the case, each (H, W); scores of at least 0.
    count, side
        How many patches of how many pixels' side; they tile the slices.
    """
    total = sum(int(w.sum()) for w in wrong)
    if not total:
        return float("nan")
    doubt = np.concatenate([_patch_sums(s, side) for s in scores])
    errors = np.concatenate([_patch_sums(w, side) for w in wrong])
    best = np.argsort(-doubt, kind="stable")[:count]
    return float(errors[best].sum() / total)


def _patch_sums(values: NDArray[Any], side: int) -> NDArray[np.float64]:
    """Return the sum in each patch of a slice (H, W); those at the far edges may be smaller."""
    rows, columns = (np.arange(0, n, side) for n in values.shape)
    sums = np.add.reduceat(values.astype(np.float64), rows, axis=0)
    return np.asarray(np.add.reduceat(sums, columns, axis=1).ravel())


def aurc(doubt: Score, quality: Score) -> float:
    """Return the area under the risk-coverage curve of cases: mean risk, surest cases first."""
    risk = (1 - quality)[np.argsort(doubt, kind="stable")]
    return float((np.cumsum(risk) / np.arange(1, len(risk) + 1)).mean())


def spearman(doubt: Score, quality: Score) -> float:
    """Return the rank correlation of confidence (minus doubt) and quality; NaN if constant."""
    if np.ptp(doubt) == 0 or np.ptp(quality) == 0:
        return float("nan")
    return float(stats.spearmanr(-doubt, quality).statistic)


def _sparsification(ordered: Wrong, steps: int) -> NDArray[np.float64]:
    """Return the error rate of what is left after removing 0, 1, ... of `steps` shares."""
    removed = np.round(np.arange(steps) / steps * len(ordered)).astype(int)
    left = ordered.sum() - np.append(0, np.cumsum(ordered))[removed]
    return np.asarray(left / (len(ordered) - removed))
