"""Batches of two streams: labelled crops, and crops of slices that are not fully labelled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from napari_crii.device import moved
from napari_crii.errors import TrainingError
from napari_crii.training.augmentation import adjust, crop, draw_photometry, draw_placement
from napari_crii.training.config import TrainingConfig
from napari_crii.training.data import TrainingSlice
from napari_crii.training.ladder import Rung
from napari_crii.training.sampling import BatchSampler


@dataclass(frozen=True, eq=False)
class Labelled:
    """Crops with labels: images (B, C, S, S), labels and weights (B, S, S)."""

    images: Tensor
    labels: Tensor
    weights: Tensor


@dataclass(frozen=True, eq=False)
class Unlabelled:
    """Crops from which little or nothing is labelled.

    Attributes
    ----------
    weak
        (B, C, S, S), geometry only.
    strong
        (V, B, C, S, S): the same places with V random photometries.
    labels, weights
        (B, S, S): what a human said of them all the same; weight 0 where nobody did.
    """

    weak: Tensor
    strong: Tensor
    labels: Tensor
    weights: Tensor


@dataclass(frozen=True, eq=False)
class Batch:
    """What one step sees."""

    labelled: Labelled
    unlabelled: Unlabelled | None = None

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        rest = None if self.unlabelled is None else _moved(self.unlabelled, device)
        return Batch(_moved(self.labelled, device), rest)


_Part = TypeVar("_Part", Labelled, Unlabelled)
_SAID = 0.5


class StreamSampler:
    """Draw both streams; half of every batch is labelled.

    Parameters
    ----------
    data
        At least one slice with a weighted pixel. Slices with a pixel of which nobody has said
        make the unlabelled stream; without any, or if the method does not ask, there is none.
    strong
        How many strong views of each unlabelled crop.
    """

    def __init__(
        self,
        data: Sequence[TrainingSlice],
        config: TrainingConfig,
        rng: np.random.Generator,
        strong: int = 1,
    ) -> None:
        self._labelled = BatchSampler(data, config, rng)
        self._config = config
        # A child of its own: with or without this stream, the labelled crops are the same.
        self._rng = rng.spawn(1)[0]
        self._strong = strong
        wanted = config.method.unlabelled
        self._pool = [s for s in data if bool((s.weight < _SAID).any())] if wanted else []
        self._noise = torch.Generator().manual_seed(int(self._rng.integers(2**31)))

    def shrink(self, rung: Rung) -> None:
        """Draw fewer or smaller crops from here on."""
        self._config = replace(self._config, batch=rung.batch, crop=rung.crop)
        self._labelled.config = self._config

    def draw(self) -> Batch:
        """Return the next batch."""
        labelled = Labelled(*self._labelled.draw())
        return Batch(labelled, self._draw_unlabelled() if self._pool else None)

    def _draw_unlabelled(self) -> Unlabelled:
        crops = [self._crop() for _ in range(self._config.batch)]
        weak, labels, weights = (torch.stack(parts) for parts in zip(*crops, strict=True))
        strong = [
            torch.stack([self._changed(image) for image in weak]) for _ in range(self._strong)
        ]
        views = torch.stack(strong) if strong else weak.new_zeros((0, *weak.shape))
        return Unlabelled(weak, views, labels, weights)

    def _crop(self) -> tuple[Tensor, Tensor, Tensor]:
        item = self._pool[int(self._rng.integers(len(self._pool)))]
        centre = self._labelled.anywhere(item)
        placement = draw_placement(self._rng, centre, self._config.mirror_axes)
        return crop(item, placement, self._config.crop)

    def _changed(self, image: Tensor) -> Tensor:
        return adjust(image, draw_photometry(self._rng), self._noise)


def require_slices(data: Sequence[TrainingSlice], channels: int, classes: int) -> None:
    """Check slices against a network.

    Raises
    ------
    TrainingError
        If nothing is annotated, a slice has other channels than the network, is empty, or
        holds a weighted label that is not a class.
    """
    if not any(bool((item.weight > 0).any()) for item in data):
        raise TrainingError("nothing is annotated, so there is nothing to learn from")
    for item in data:
        if item.image.shape[0] != channels:
            raise TrainingError(
                f"the network expects {channels} channels, a slice has {item.image.shape[0]}"
            )
        said = item.label[item.weight > 0]
        if said.numel() and (int(said.min()) < 0 or int(said.max()) >= classes):
            wrong = int(said.max()) if int(said.max()) >= classes else int(said.min())
            raise TrainingError(f"label {wrong} is not one of the classes 0 to {classes - 1}")


def without_labels(data: Sequence[TrainingSlice]) -> list[TrainingSlice]:
    """Return the slices as if nobody had annotated them."""
    return [
        replace(s, label=torch.zeros_like(s.label), weight=torch.zeros_like(s.weight)) for s in data
    ]


def _moved(part: _Part, device: torch.device) -> _Part:
    return type(part)(**{name: moved(tensor, device) for name, tensor in vars(part).items()})
