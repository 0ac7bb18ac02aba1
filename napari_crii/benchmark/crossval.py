"""Patient-wise cross-validation of supervised training: what the model card reports."""

from __future__ import annotations

import hashlib
import json
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_crii.benchmark.runs import Run, append_run, find_run, read_runs
from napari_crii.benchmark.table import markdown_table
from napari_crii.checkpoint import Checkpoint, new_checkpoint
from napari_crii.classes import numbered_classes
from napari_crii.errors import TrainingError
from napari_crii.inference import Predictor
from napari_crii.io import read_mask, read_scan
from napari_crii.io.pairs import pair_files, scan_stem
from napari_crii.preprocessing import Preprocessing
from napari_crii.training import TrainingConfig, fit, steps_of
from napari_crii.training.data import TrainingSlice
from napari_crii.training.folder import load_folder, read_groups
from napari_crii.volume import to_slices

Progress = Callable[[int, int], None]
Stepping = Callable[[int], None]


SUMMARISED = ("mean", "spread", "worst")
# Name in a run: heading in the table.
SCORES = {"dice": "refined", "dice_coarse": "coarse", "dice_whole": "whole patient"}

# (K, 2): pixels in both masks, and the sum of those in each.
Overlap = NDArray[np.int64]


@dataclass(frozen=True)
class CrossValidation:
    """What to validate.

    Attributes
    ----------
    images, labels
        Folders paired by file stem.
    groups
        CSV file with columns ``file`` and ``patient``.
    classes
        Names of the foreground classes.
    recipe, training
        Preprocessing and training settings of every fold.
    folds, seed
        Patients are shuffled by `seed` and dealt to `folds` folds.
    """

    images: Path
    labels: Path
    groups: Path
    classes: tuple[str, ...]
    recipe: Preprocessing
    training: TrainingConfig
    folds: int = 5
    seed: int = 0

    def settings(self) -> Run:
        """Return everything but the slices that decides the result, as JSON reads it back."""
        parts = {
            "data": self.images.absolute().parent.name,
            "classes": self.classes,
            "recipe": asdict(self.recipe),
            "training": asdict(self.training),
            "folds": self.folds,
            "seed": self.seed,
        }
        read_back: Run = json.loads(json.dumps(parts))
        return read_back


def deal_patients(patients: set[str], folds: int, seed: int) -> list[set[str]]:
    """Deal patients to folds.

    Raises
    ------
    TrainingError
        If there are fewer patients than folds, or fewer than two folds.
    """
    if not 2 <= folds <= len(patients):
        raise TrainingError(f"{len(patients)} patients cannot be dealt to {folds} folds")
    order = np.random.default_rng(seed).permutation(sorted(patients))
    return [{str(p) for p in order[fold::folds]} for fold in range(folds)]


def cross_validate(
    plan: CrossValidation, out: Path, progress: Progress = lambda done, total: None
) -> list[Run]:
    """Train and test every fold; folds that are finished in `out` are not computed again.

    Parameters
    ----------
    progress
        Told after each step how many of how many are done, over all folds.

    Returns
    -------
    list of dict
        One per fold: ``fold``, ``settings``, ``material`` (digest of the slices), ``slices``,
        ``dice`` and ``dice_coarse`` (patient to mean over slices and classes), ``dice_whole``
        (patient to mean over classes, all the patient's slices as one), ``seconds``.

    Raises
    ------
    ScanError, GeometryError, TrainingError
        If a file cannot be read, patients cannot be dealt, or training fails.
    CriiError
        If `out` holds something else than runs.
    """
    finished = read_runs(out)
    data = load_folder(plan.images, plan.labels, plan.recipe, plan.classes, plan.groups)
    key = {"settings": plan.settings(), "material": material_digest(data)}
    total = plan.folds * plan.training.iterations
    runs = []
    for fold, tested in enumerate(deal_patients({d.patient for d in data}, plan.folds, plan.seed)):
        run = find_run(finished, {"fold": fold, **key})
        if run is None:
            stepped = partial(_count_on, progress, fold * plan.training.iterations, total)
            run = {"fold": fold, **key, **_run_fold(plan, data, tested, stepped)}
            append_run(out, run)
        progress((fold + 1) * plan.training.iterations, total)
        runs.append(run)
    return runs


def _count_on(progress: Progress, before: int, total: int, step: int) -> None:
    progress(before + step, total)


def material_digest(data: list[TrainingSlice]) -> str:
    """Return the SHA-256 of what is learnt from, whatever its files are called."""
    sha = hashlib.sha256()
    for item in data:
        sha.update(f"{item.patient} {tuple(item.image.shape)}".encode())
        sha.update(np.ascontiguousarray(item.image.numpy()).data)
        sha.update(np.ascontiguousarray(item.label.numpy()).data)
    return sha.hexdigest()


def _run_fold(
    plan: CrossValidation, data: list[TrainingSlice], tested: set[str], stepped: Stepping
) -> Run:
    """Train on the other patients, test on these."""
    started = time.perf_counter()
    train = [item for item in data if item.patient not in tested]
    checkpoint = _train(plan, train, stepped)
    return {
        "slices": len(data) - len(train),
        **score_patients(plan, checkpoint, tested),
        "seconds": round(time.perf_counter() - started, 1),
    }


def _train(plan: CrossValidation, data: list[TrainingSlice], stepped: Stepping) -> Checkpoint:
    checkpoint = new_checkpoint(numbered_classes(list(plan.classes)), plan.recipe, plan.seed)
    rng = np.random.default_rng(plan.seed)
    for event in steps_of(fit(checkpoint.network, data, plan.training, rng)):
        stepped(event.step)
    return checkpoint


def score_patients(
    plan: CrossValidation, checkpoint: Checkpoint, tested: set[str]
) -> dict[str, dict[str, float]]:
    """Return each tested patient's Dice, by the name that it has in a run (`SCORES`)."""
    patients = read_groups(plan.groups)
    predictor = Predictor(checkpoint)
    refined: dict[str, list[Overlap]] = defaultdict(list)
    coarse: dict[str, list[Overlap]] = defaultdict(list)
    for scan, mask in pair_files(plan.images, plan.labels):
        patient = patients[scan_stem(scan)]
        if patient not in tested:
            continue
        volume = read_scan(scan)
        truth = to_slices(read_mask(mask, like=volume)[0], volume.slice_axis)
        for index, prediction in predictor.predict_volume(volume):
            refined[patient].append(_overlap(prediction.labels(), truth[index], plan))
            said = prediction.coarse_mean.argmax(0)
            coarse[patient].append(_overlap(said, truth[index], plan))
    return {
        "dice": {p: _mean_dice(overlaps) for p, overlaps in sorted(refined.items())},
        "dice_coarse": {p: _mean_dice(overlaps) for p, overlaps in sorted(coarse.items())},
        "dice_whole": {p: _mean_dice([np.sum(o, axis=0)]) for p, o in sorted(refined.items())},
    }


def _overlap(labels: NDArray[Any], truth: NDArray[Any], plan: CrossValidation) -> Overlap:
    """Return, per class, the pixels in both masks and those in each, (K, 2).

    With one class, any label above 0 is it.
    """
    if len(plan.classes) == 1:
        labels, truth = labels > 0, truth > 0
    counts = [
        (np.count_nonzero(a & b), np.count_nonzero(a) + np.count_nonzero(b))
        for a, b in ((labels == k, truth == k) for k in range(1, len(plan.classes) + 1))
    ]
    return np.array(counts, dtype=np.int64)


def _mean_dice(overlaps: Sequence[Overlap]) -> float:
    """Return the mean Dice over overlaps and classes; of two empty masks it is 1."""
    both, total = np.concatenate(overlaps).T
    return round(float(np.where(total, 2 * both / np.maximum(total, 1), 1.0).mean()), 4)


def summary(runs: list[Run], branch: str = "dice") -> dict[str, float | str]:
    """Return mean, standard deviation and worst over all patients of all folds.

    Parameters
    ----------
    branch
        One of `SCORES`.
    """
    patients = {p: d for run in runs for p, d in run[branch].items()}
    values = np.array(list(patients.values()))
    worst = min(patients, key=lambda p: patients[p])
    return {
        "patients": len(patients),
        "mean": round(float(values.mean()), 4),
        "spread": round(float(values.std(ddof=1)), 4),
        "worst": round(float(values.min()), 4),
        "worst_patient": worst,
    }


def report_table(runs: list[Run]) -> str:
    """Return, in Markdown, the Dice of every patient, with mean, spread and worst below."""
    rows = [
        [patient, str(run["fold"]), *(f"{run[name][patient]:.3f}" for name in SCORES)]
        for run in runs
        for patient in run["dice"]
    ]
    summaries = [summary(runs, name) for name in SCORES]
    below = [[line, "", *(f"{s[line]:.3f}" for s in summaries)] for line in SUMMARISED]
    return markdown_table(("patient", "fold", *SCORES.values()), sorted(rows) + below)


def report_page(plan: CrossValidation, runs: list[Run]) -> str:
    """Return a Markdown page: what was done, the table, what it sums up to."""
    slices, seconds = sum(run["slices"] for run in runs), sum(run["seconds"] for run in runs)
    said = plan.settings()
    refined, coarse = summary(runs), summary(runs, "dice_coarse")
    return "\n".join(
        [
            f"# Cross-validation on {said['data']}: {', '.join(plan.classes)}",
            "",
            f"Made by `napari-crii benchmark crossval`: {refined['patients']} patients, {slices} "
            f"slices, {plan.folds} folds dealt by patient with seed {plan.seed}, "
            f"{plan.training.iterations} iterations each, {seconds:.0f} s in all. A patient's "
            "Dice is the mean over slices and classes; over the whole patient, that of all slices "
            "as one mask. Spread is the standard deviation over patients.",
            "",
            f"Preprocessing: `{json.dumps(said['recipe'])}`",
            "",
            f"Training: `{json.dumps(said['training'])}`",
            "",
            f"Worst patient: {refined['worst_patient']} (refined), {coarse['worst_patient']} "
            "(coarse).",
            "",
            report_table(runs),
            "",
        ]
    )
