"""Slices as the trainer sees them: normalised image, labels, and a weight per pixel."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from napari_crii.errors import TrainingError
from napari_crii.preprocessing import Preprocessing
from napari_crii.snapshot import LabelledSlice, UnlabelledSlice
from napari_crii.volume import Volume


@dataclass(frozen=True, eq=False)
class TrainingSlice:
    """One slice to learn from.

    Attributes
    ----------
    image
        (C, H, W) float32, normalised.
    label
        (H, W) int64 class indices.
    weight
        (H, W) float32 in [0, 1]; 0 where nobody has said.
    patient
        Whose slice it is.
    replay
        Whether it is older material that keeps the network from forgetting.
    missed
        (H, W) bool: where a human says something else than the network that is to learn; None
        where nobody looked.
    """

    image: Tensor
    label: Tensor
    weight: Tensor
    patient: str = ""
    replay: bool = False
    missed: Tensor | None = None

    def foreground(self) -> NDArray[np.intp]:
        """Return (N, 2) rows and columns of annotated foreground pixels."""
        return np.argwhere(((self.label > 0) & (self.weight > 0)).numpy())

    def corrections(self) -> NDArray[np.intp]:
        """Return (N, 2) rows and columns of what the network misses; none where nobody looked."""
        if self.missed is None:
            return np.empty((0, 2), dtype=np.intp)
        return np.argwhere(self.missed.numpy())


def from_volume(
    volume: Volume,
    labels: NDArray[np.integer],
    recipe: Preprocessing,
    classes: int,
    patient: str = "",
) -> list[TrainingSlice]:
    """Return every slice of a densely labelled scan.

    Parameters
    ----------
    labels
        Class indices with the scan's shape ``(Z, Y, X)``.

    Raises
    ------
    TrainingError
        If shapes differ, or a label is not a class.
    """
    recipe.require(volume)
    if labels.shape != volume.shape:
        raise TrainingError(
            f"the mask of {volume.name} has shape {labels.shape}, the scan {volume.shape}"
        )
    require_classes(labels, classes, volume.name)
    by_slice = np.moveaxis(labels, volume.slice_axis, 0)
    shape = recipe.working_shape(by_slice.shape[1:], volume.pixel_spacing)
    everywhere = np.ones(by_slice.shape[1:], dtype=np.float32)
    result = []
    for i in range(volume.slice_count):
        label, weight = targets(by_slice[i], everywhere, shape, classes)
        image = torch.from_numpy(recipe.slice_input(volume, i))
        result.append(TrainingSlice(image, label, weight, patient or volume.name))
    return result


def from_snapshot(
    slices: Iterable[LabelledSlice], recipe: Preprocessing, classes: int
) -> list[TrainingSlice]:
    """Return the slices of a training snapshot, normalised.

    Raises
    ------
    TrainingError
        If a weighted label is not a class.
    """
    result = []
    for item in slices:
        require_classes(item.labels[item.weights > 0], classes, "the corrected slices")
        stats = item.stats if recipe.scope == "volume" else None
        image = torch.from_numpy(recipe.prepare(item.image, stats, item.pixel_spacing))
        shape = (image.shape[1], image.shape[2])
        label, weight = targets(item.labels, item.weights, shape, classes)
        result.append(TrainingSlice(image, label, weight, item.patient, item.replay))
    return result


def unlabelled_of(slices: Iterable[UnlabelledSlice], recipe: Preprocessing) -> list[TrainingSlice]:
    """Return the slices of a snapshot that nobody annotated, normalised, with weight 0."""
    result = []
    for item in slices:
        stats = item.stats if recipe.scope == "volume" else None
        image = torch.from_numpy(recipe.prepare(item.image, stats, item.pixel_spacing))
        label = torch.zeros(image.shape[1:], dtype=torch.int64)
        weight = torch.zeros(image.shape[1:])
        result.append(TrainingSlice(image, label, weight, item.patient))
    return result


def targets(
    labels: NDArray[np.integer],
    weights: NDArray[np.float32],
    shape: tuple[int, int],
    classes: int,
) -> tuple[Tensor, Tensor]:
    """Return labels (int64) and weights (float32) of a slice (H, W) on a grid of `shape`.

    Where the grid is coarser, a pixel takes the class that covers most of what was annotated
    in it, and the annotated share as its weight.
    """
    label = torch.from_numpy(labels.astype(np.int64))
    weight = torch.from_numpy(weights.astype(np.float32))
    if labels.shape == shape:
        return label, weight
    known = torch.where(weight > 0, label, torch.zeros_like(label))
    mass = functional.one_hot(known, classes).movedim(-1, 0).float() * weight
    resized = functional.interpolate(
        torch.cat([mass, weight[None]])[None],
        shape,
        mode="bilinear",
        antialias=True,
        align_corners=False,
    )[0]
    return resized[:-1].argmax(dim=0), resized[-1].clamp(0, 1)


def require_classes(labels: NDArray[np.integer], classes: int, name: str) -> None:
    """Raise `TrainingError` if a label lies outside ``0 .. classes - 1``."""
    if labels.size and (labels.min() < 0 or labels.max() >= classes):
        wrong = int(labels.max() if labels.max() >= classes else labels.min())
        raise TrainingError(f"{name}: label {wrong} is not one of the classes 0 to {classes - 1}")
