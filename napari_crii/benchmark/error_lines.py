"""What is measured of scores as detectors of errors: by region, by patient, by whole slice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_crii.benchmark.detection import (
    PIXEL_MEASURES,
    aurc,
    ause,
    captured,
    captured_in_patches,
    pixel_measures,
    spearman,
)
from napari_crii.benchmark.doubt_maps import CASE_SCORES, SCORES, Doubt
from napari_crii.benchmark.runs import Run
from napari_crii.calibration import Calibrator
from napari_crii.edges import edge_distance
from napari_crii.metrics import dice
from napari_crii.training import TrainingSlice

REGIONS = ("whole", "band", "outside", "beyond2")
CASE = "case"
# Every line has all of them; None: it is not measured there, or cannot be said.
MEASURES = (
    *PIXEL_MEASURES, "captured_patches", "patients_ause", "patients_captured5", "aurc", "spearman",
)  # fmt: skip
BAND = 5
BEYOND = 2

# A slice, what is known of it, and where (H, W) its proposal is wrong.
Judged = tuple[TrainingSlice, Doubt, NDArray[np.bool_]]


class Fitted(NamedTuple):
    """A calibrator, what it is called, how many slices taught it, what it reads."""

    name: str
    corrected: int
    calibrator: Calibrator
    read: Callable[[Doubt], NDArray[np.float32]]


def pixel_lines(
    judged: Sequence[Judged], calibrators: Sequence[Fitted], *, each_patient: bool = True
) -> list[Run]:
    """Return the measures of each region and score, over all annotated pixels together.

    Parameters
    ----------
    each_patient
        Whether two of them are measured among the pixels of each patient, too.

    Returns
    -------
    list of dict
        ``score``, ``region``, ``corrected`` and `MEASURES`, as `napari_crii.benchmark.errors.judge`
        says.
    """
    scores = {name: [d.maps[name] for _, d, _ in judged] for name in SCORES}
    corrected = {}
    for fitted in calibrators:
        probability, read = fitted.calibrator.probability, fitted.read
        scores[fitted.name] = [probability(read(d)) for _, d, _ in judged]
        corrected[fitted.name] = fitted.corrected
    found: list[Run] = []
    for region, where in _regions(judged).items():
        for name, maps in scores.items():
            line: Run = {"score": name, "region": region, "corrected": corrected.get(name)}
            line |= {**dict.fromkeys(MEASURES), **_measures(name, maps, judged, where)}
            found.append(line | (_of_patients(maps, judged, where) if each_patient else {}))
    return found


def _regions(judged: Sequence[Judged]) -> dict[str, list[NDArray[np.bool_]]]:
    """Return where each slice (H, W) counts, by region."""
    found = []
    for item, doubt, wrong in judged:
        said, near = item.weight.numpy() > 0, edge_distance(doubt.labels) <= BAND
        # Errors close to the true edge are ones that a clinician would leave.
        close = wrong & (edge_distance(item.label.numpy()) <= BEYOND)
        found.append((said, said & near, said & ~near, said & ~close))
    return {name: [where[number] for where in found] for number, name in enumerate(REGIONS)}


def _measures(
    name: str,
    maps: Sequence[NDArray[Any]],
    judged: Sequence[Judged],
    where: Sequence[NDArray[np.bool_]],
) -> dict[str, float | None]:
    mistakes = [w & there for (_, _, w), there in zip(judged, where, strict=True)]
    score = np.concatenate([m[there] for m, there in zip(maps, where, strict=True)])
    wrong = np.concatenate([w[there] for w, there in zip(mistakes, where, strict=True)])
    found = pixel_measures(score, wrong, name.startswith(("expected", "max_probability")))
    least = score.min(initial=0.0)
    doubts = [np.where(there, m - least, 0) for m, there in zip(maps, where, strict=True)]
    patients = [item.patient for item, _, _ in judged]
    found["captured_patches"] = _in_patches(doubts, mistakes, patients)
    return {k: None if np.isnan(v) else round(v, 4) for k, v in found.items()}


def _in_patches(
    doubts: Sequence[NDArray[Any]], mistakes: Sequence[NDArray[np.bool_]], patients: Sequence[str]
) -> float:
    """Return the mean over patients of `captured_in_patches`, of those with errors."""
    shares = _each_patient(
        patients,
        lambda mine: captured_in_patches([doubts[i] for i in mine], [mistakes[i] for i in mine]),
    )
    return float(np.mean(list(shares.values()))) if shares else float("nan")


def _of_patients(
    maps: Sequence[NDArray[Any]], judged: Sequence[Judged], where: Sequence[NDArray[np.bool_]]
) -> dict[str, dict[str, float]]:
    """Return the measures of which differences between scores are told with an interval."""
    patients = [item.patient for item, _, _ in judged]

    def measured(measure: Callable[[Any, Any], float], mine: Sequence[int]) -> float:
        score = np.concatenate([maps[i][where[i]] for i in mine])
        wrong = np.concatenate([judged[i][2][where[i]] for i in mine])
        return round(measure(score, wrong), 4)

    return {
        "patients_ause": _each_patient(patients, partial(measured, ause)),
        "patients_captured5": _each_patient(
            patients, partial(measured, partial(captured, share=0.05))
        ),
    }


def _each_patient(
    patients: Sequence[str], measure: Callable[[Sequence[int]], float]
) -> dict[str, float]:
    """Return a measure of the slices of each patient, by their places; none that is NaN."""
    found = {
        patient: measure([i for i, name in enumerate(patients) if name == patient])
        for patient in sorted(set(patients))
    }
    return {patient: value for patient, value in found.items() if not np.isnan(value)}


def case_lines(judged: Sequence[Judged]) -> list[Run]:
    """Return, per score of whole slices, the AURC and the rank correlation with the true Dice."""
    if len(judged) < 2:
        return []
    quality = np.array([dice(d.labels > 0, item.label.numpy() > 0) for item, d, _ in judged])
    found: list[Run] = []
    for name in CASE_SCORES:
        doubt = np.array([d.cases[name] for _, d, _ in judged])
        rho = spearman(doubt, quality)
        line = {"score": name, "region": CASE, "corrected": None, **dict.fromkeys(MEASURES)}
        line["aurc"] = round(aurc(doubt, quality), 4)
        found.append({**line, "spearman": None if np.isnan(rho) else round(rho, 4)})
    return found
