"""Who is labelled, who is tested, and how well: the material of the comparison with few labels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from napari_crii.benchmark.material import deal_patients
from napari_crii.edges import contrast_to_noise
from napari_crii.errors import TrainingError
from napari_crii.metrics import dice, evaluate
from napari_crii.training.data import TrainingSlice
from napari_crii.training.streams import without_labels

BAND = 3
SURROUND = 5
HARD_SHARE = 1 / 3

Segment = Callable[[Tensor], Tensor]
Scores = dict[str, float | list[float | None] | dict[str, float | None] | None]


@dataclass(frozen=True, eq=False)
class Split:
    """Slices of one draw and fold; no patient occurs twice."""

    labelled: list[TrainingSlice]
    unlabelled: list[TrainingSlice]
    tested: list[TrainingSlice]

    @property
    def training(self) -> list[TrainingSlice]:
        """What a semi-supervised method sees: the pool without its labels."""
        return self.labelled + without_labels(self.unlabelled)


def split_patients(
    data: Sequence[TrainingSlice], share: float, draw: int, fold: int, folds: int
) -> Split:
    """Deal patients to folds, always alike, and draw which of the others are labelled.

    Parameters
    ----------
    share
        Of the training patients that are labelled, at least one.

    Raises
    ------
    TrainingError
        If patients cannot be dealt, none is left unlabelled, there is no such fold, or those
        drawn, or tested, show no foreground.
    """
    if not 0 < share <= 1:
        raise TrainingError(f"the labelled share {share} does not lie between 0 and 1")
    if not 0 <= fold < folds:
        raise TrainingError(
            f"there is no fold {fold}: with {folds} folds they are 0 to {folds - 1}"
        )
    patients = {item.patient for item in data}
    tested = deal_patients(patients, folds, seed=0)[fold]
    others = np.random.default_rng([draw, fold]).permutation(sorted(patients - tested))
    count = max(1, round(share * len(others)))
    if count == len(others):
        raise TrainingError(
            f"with a share of {share} all {count} training patients are labelled: "
            "nobody is left to learn from without labels"
        )
    chosen = {str(p) for p in others[:count]}
    split = Split(
        [s for s in data if s.patient in chosen],
        [s for s in data if s.patient not in chosen | tested],
        [s for s in data if s.patient in tested],
    )
    for who, slices in (("labelled", split.labelled), ("test", split.tested)):
        if not any(bool((s.label > 0).any()) for s in slices):
            raise TrainingError(
                f"the {who} patients of draw {draw}, fold {fold} show no foreground"
            )
    return split


def centre_field(item: TrainingSlice, size: int) -> TrainingSlice:
    """Return the central field (size, size); beyond the slice the border repeats, of weight 0."""
    height, width = item.label.shape
    top, left = (height - size) // 2, (width - size) // 2
    pad = (-left, left + size - width, -top, top + size - height)
    image = functional.pad(item.image[None], pad, mode="replicate")[0]
    return replace(
        item,
        image=image.contiguous(),
        label=functional.pad(item.label, pad).contiguous(),
        weight=functional.pad(item.weight, pad).contiguous(),
    )


def mean_shape(labelled: Sequence[TrainingSlice], classes: int) -> Tensor:
    """Return the most frequent class at each pixel of the labelled slices, (H, W)."""
    masks = torch.stack([functional.one_hot(s.label, classes) for s in labelled])
    return masks.float().mean(dim=0).argmax(dim=-1)


def score_slices(tested: Sequence[TrainingSlice], segment: Segment, classes: int) -> Scores:
    """Score a segmentation, patient by patient.

    A patient's Dice of a class pools all of its slices, and says nothing (None where no patient
    does) if neither masks nor guesses show the class; the boundary Dice counts only pixels within
    3 pixels of the true edge; surface measures are means over slices, in pixels, a class that
    neither shows counting as agreement, an object missed or invented as the diagonal; `hard_dice`
    is the mean over the third of the objects that stand out least. Nothing counts where nobody
    has said anything. ``patients`` holds the Dice of each patient, ``patients_nsd1`` and
    ``patients_hard_dice`` the means over its slices and over its objects of that third, if any.

    Parameters
    ----------
    segment
        Maps an image (C, H, W) to labels (H, W).
    """
    pairs = [(segment(s.image).numpy(), s) for s in tested]
    by_patient: dict[str, list[int]] = defaultdict(list)
    for index, item in enumerate(tested):
        by_patient[item.patient].append(index)
    patients = {
        name: _patient([pairs[i] for i in which], classes) for name, which in by_patient.items()
    }
    overall = {name: _mean_said(scores) for name, (scores, _) in patients.items()}
    surfaces = np.array([_surface(guess, item, classes) for guess, item in pairs])
    hard = _hard_objects(pairs, classes)
    return {
        "dice": _rounded(_mean_said(overall.values())),
        "dice_per_class": [
            _rounded(_mean_said(column))
            for column in zip(*(scores for scores, _ in patients.values()), strict=True)
        ],
        "hard_dice": _rounded(_mean_said(score for _, score in hard)),
        "boundary_dice": _rounded(_mean_said(band for _, band in patients.values())),
        **dict(zip(("nsd1", "nsd2", "hd95"), map(_rounded, surfaces.mean(axis=0)), strict=True)),
        "patients": {name: _rounded(score) for name, score in overall.items() if score is not None},
        "patients_nsd1": {
            name: _rounded(surfaces[which, 0].mean()) for name, which in by_patient.items()
        },
        "patients_hard_dice": {
            name: _rounded(np.mean([score for patient, score in hard if patient == name]))
            for name in sorted({patient for patient, _ in hard})
        },
    }


def _patient(
    pairs: list[tuple[NDArray[np.integer], TrainingSlice]], classes: int
) -> tuple[list[float | None], float | None]:
    """Return the Dice per class, and the mean one near true edges; None says nothing."""
    masks = _masks(pairs, classes)
    bands = [(a, b, np.stack([_near_edge(mask) for mask in b])) for a, b in masks if b.any()]
    near = _mean_said(dice(a & band, b & band) for a, b, band in bands)
    return [dice(a, b) if a.any() or b.any() else None for a, b in masks], near


def _mean_said(values: Iterable[float | None]) -> float | None:
    """Return the mean of those that say something; None where none does."""
    said = [value for value in values if value is not None]
    return float(np.mean(said)) if said else None


def _masks(
    pairs: Sequence[tuple[NDArray[np.integer], TrainingSlice]], classes: int
) -> list[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Return guess and truth (S, H, W) of each foreground class, where somebody has said."""
    guess = np.stack([g for g, _ in pairs])
    truth = np.stack([item.label.numpy() for _, item in pairs])
    said = np.stack([item.weight.numpy() > 0 for _, item in pairs])
    return [((guess == k) & said, (truth == k) & said) for k in range(1, classes)]


def pooled_dice(tested: Sequence[TrainingSlice], segment: Segment, classes: int) -> float:
    """Return the mean over patients and their classes of the Dice of all slices together.

    A class that neither masks nor guesses of a patient show says nothing of that patient.
    Slices of one patient are of one size; `segment` maps an image (C, H, W) to labels (H, W).
    """
    scores = []
    for patient in sorted({item.patient for item in tested}):
        mine = [(segment(s.image).numpy(), s) for s in tested if s.patient == patient]
        scores += [dice(a, b) for a, b in _masks(mine, classes) if a.any() or b.any()]
    return float(np.mean(scores))


def _near_edge(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    edge = mask & ~ndimage.binary_erosion(mask)
    if not edge.any():
        return np.zeros_like(mask)
    return np.asarray(ndimage.distance_transform_edt(~edge) <= BAND)


def _surface(
    guess: NDArray[np.integer], item: TrainingSlice, classes: int
) -> tuple[float, float, float]:
    said, unit = item.weight.numpy() > 0, (1.0, 1.0)
    truth, guess = np.where(said, item.label.numpy(), 0), np.where(said, guess, 0)
    diagonal = float(np.hypot(*truth.shape))
    found = evaluate(guess, truth, unit, range(1, classes), tolerance_mm=1.0)
    far = evaluate(guess, truth, unit, range(1, classes), tolerance_mm=2.0)
    return (
        float(np.mean([s.nsd for s in found.values()])),
        float(np.mean([s.nsd for s in far.values()])),
        float(np.mean([min(s.hd95, diagonal) for s in found.values()])),
    )


def _hard_objects(
    pairs: list[tuple[NDArray[np.integer], TrainingSlice]], classes: int
) -> list[tuple[str, float]]:
    """Return patient and Dice of each of the third of the objects whose contrast is lowest."""
    found = []
    for guess, item in pairs:
        said = item.weight.numpy() > 0
        for k in range(1, classes):
            truth = (item.label.numpy() == k) & said
            if truth.any():
                score = dice((guess == k) & said, truth)
                found.append((object_contrast(item, truth), score, item.patient))
    found.sort()
    kept = found[: max(1, round(HARD_SHARE * len(found)))]
    return [(patient, score) for _, score, patient in kept]


def object_contrast(item: TrainingSlice, truth: NDArray[np.bool_]) -> float:
    """Return the contrast-to-noise ratio of an object (H, W) and a ring of 5 pixels around it."""
    grey = item.image.numpy().mean(axis=0)
    around = ndimage.binary_dilation(truth, iterations=SURROUND)
    return contrast_to_noise(grey[around], truth[around])


def _rounded(value: Any) -> float | None:
    return None if value is None else round(float(value), 4)
