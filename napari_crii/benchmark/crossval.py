"""Patient-wise cross-validation of supervised training: what the model card reports."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_crii.benchmark.runs import Run, append_run, find_run, read_runs
from napari_crii.checkpoint import Checkpoint, new_checkpoint
from napari_crii.classes import numbered_classes
from napari_crii.errors import TrainingError
from napari_crii.inference import Predictor
from napari_crii.io import read_mask, read_scan
from napari_crii.io.pairs import pair_files, scan_stem
from napari_crii.metrics import dice
from napari_crii.preprocessing import Preprocessing
from napari_crii.training import Finished, FinishReason, Stepped, TrainingConfig, fit
from napari_crii.training.data import TrainingSlice
from napari_crii.training.folder import load_folder, read_groups
from napari_crii.volume import to_slices

Progress = Callable[[int, int], None]


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
        """Return everything that decides the result, as JSON reads it back."""
        parts = {
            "data": self.images.parent.name,
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
        One per fold: ``fold``, ``settings``, ``dice`` and ``dice_coarse`` (patient to mean over
        slices and classes), ``seconds``.
    """
    data = load_folder(plan.images, plan.labels, plan.recipe, plan.classes, plan.groups)
    settings, total = plan.settings(), plan.folds * plan.training.iterations
    runs = []
    for fold, tested in enumerate(deal_patients({d.patient for d in data}, plan.folds, plan.seed)):
        run = find_run(read_runs(out), {"fold": fold, "settings": settings})
        if run is None:
            started = time.perf_counter()
            before = fold * plan.training.iterations
            checkpoint = _train(
                plan, [d for d in data if d.patient not in tested], before, total, progress
            )
            refined, coarse = score_patients(plan, checkpoint, tested)
            seconds = round(time.perf_counter() - started, 1)
            run = {
                "fold": fold,
                "settings": settings,
                "dice": refined,
                "dice_coarse": coarse,
                "seconds": seconds,
            }
            append_run(out, run)
        runs.append(run)
    return runs


def _train(
    plan: CrossValidation, data: list[TrainingSlice], before: int, total: int, progress: Progress
) -> Checkpoint:
    checkpoint = new_checkpoint(numbered_classes(list(plan.classes)), plan.recipe, plan.seed)
    rng = np.random.default_rng(plan.seed)
    for event in fit(checkpoint.network, data, plan.training, rng):
        if isinstance(event, Stepped):
            progress(before + event.step, total)
        elif isinstance(event, Finished) and event.reason is FinishReason.FAILED:
            raise TrainingError(event.message)
    return checkpoint


def score_patients(
    plan: CrossValidation, checkpoint: Checkpoint, tested: set[str]
) -> tuple[dict[str, float], dict[str, float]]:
    """Return each tested patient's Dice, of the refined and of the coarse branch."""
    patients = read_groups(plan.groups)
    predictor = Predictor(checkpoint)
    refined, coarse = defaultdict(list), defaultdict(list)
    for scan, mask in pair_files(plan.images, plan.labels):
        patient = patients[scan_stem(scan)]
        if patient not in tested:
            continue
        volume = read_scan(scan)
        truth = to_slices(read_mask(mask, like=volume)[0], volume.slice_axis)
        for index, prediction in predictor.predict_volume(volume):
            refined[patient].append(_dice(prediction.labels(), truth[index], plan))
            coarse[patient].append(_dice(prediction.coarse_mean.argmax(0), truth[index], plan))
    return _means(refined), _means(coarse)


def _dice(labels: NDArray[np.integer], truth: NDArray[Any], plan: CrossValidation) -> float:
    """Return the mean Dice over the foreground classes; with one, any label above 0 is it."""
    if len(plan.classes) == 1:
        return dice(labels > 0, truth > 0)
    classes = range(1, len(plan.classes) + 1)
    return float(np.mean([dice(labels == k, truth == k) for k in classes]))


def _means(values: dict[str, list[float]]) -> dict[str, float]:
    return {patient: round(float(np.mean(v)), 4) for patient, v in sorted(values.items())}


def summary(runs: list[Run], branch: str = "dice") -> dict[str, float | str]:
    """Return mean, standard deviation and worst over all patients of all folds."""
    patients = {p: d for run in runs for p, d in run[branch].items()}
    values = np.array(list(patients.values()))
    worst = min(patients, key=lambda p: patients[p])
    return {
        "patients": float(len(patients)),
        "mean": round(float(values.mean()), 4),
        "spread": round(float(values.std(ddof=1)), 4),
        "worst": round(float(values.min()), 4),
        "worst_patient": worst,
    }
