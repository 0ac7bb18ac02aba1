"""Patient-wise cross-validation of supervised training: every patient tested by a stranger."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_crii.benchmark.material import deal_patients, material_digest
from napari_crii.benchmark.runs import Run, as_read_back, kept_or_made, read_runs
from napari_crii.checkpoint import Checkpoint, new_checkpoint
from napari_crii.classes import numbered_classes
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
        return as_read_back(parts)


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
    dealt = deal_patients({d.patient for d in data}, plan.folds, plan.seed, "--folds")
    for fold, tested in enumerate(dealt):
        stepped = partial(_count_on, progress, fold * plan.training.iterations, total)
        work = partial(_run_fold, plan, data, tested, stepped)
        runs.append(kept_or_made(out, finished, {"fold": fold, **key}, work))
        progress((fold + 1) * plan.training.iterations, total)
    return runs


def _count_on(progress: Progress, before: int, total: int, step: int) -> None:
    progress(before + step, total)


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
