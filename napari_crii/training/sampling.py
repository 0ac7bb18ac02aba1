"""Which crops make a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_crii.training.augmentation import (
    adjust,
    crop,
    draw_photometry,
    draw_placement,
    draw_weak_placement,
)
from napari_crii.training.config import TrainingConfig
from napari_crii.training.data import TrainingSlice

Batch = tuple[Tensor, Tensor, Tensor]

_CENTRED_SLACK = 24


class BatchSampler:
    """Draw augmented batches: half of the crops on foreground, older slices in their share."""

    def __init__(
        self,
        data: Sequence[TrainingSlice],
        config: TrainingConfig,
        rng: np.random.Generator,
    ) -> None:
        self.config = config
        self._rng = rng
        self._noise = torch.Generator().manual_seed(int(rng.integers(2**31)))
        data = [s for s in data if bool((s.weight > 0).any())]
        self._fresh = [s for s in data if not s.replay] or data
        self._replay = [s for s in data if s.replay]
        self._places = {s: _Places.of(s) for s in data}

    def draw(self) -> Batch:
        """Return images (B, C, S, S), labels (B, S, S) and weights (B, S, S)."""
        crops = [self._crop(self._pick(i)) for i in range(self.config.batch)]
        images, labels, weights = zip(*crops, strict=True)
        return torch.stack(images), torch.stack(labels), torch.stack(weights)

    def _pick(self, position: int) -> TrainingSlice:
        replay = self._replay and position < round(self.config.batch * self.config.replay)
        pool = self._replay if replay else self._fresh
        return pool[int(self._rng.integers(len(pool)))]

    def _crop(self, item: TrainingSlice) -> tuple[Tensor, Tensor, Tensor]:
        center = self._center(item)
        if not self.config.strong:
            weak = draw_weak_placement(self._rng, center, self.config.mirror_axes)
            return crop(item, weak, self.config.crop)
        placement = draw_placement(
            self._rng, center, self.config.mirror_axes, turned=self.config.turned
        )
        image, label, weight = crop(item, placement, self.config.crop)
        return adjust(image, draw_photometry(self._rng), self._noise), label, weight

    def anywhere(self, item: TrainingSlice) -> tuple[float, float]:
        """Return the centre of a crop anywhere in a slice, or near its middle if so configured."""
        shape = np.array(item.label.shape, dtype=float)
        if self.config.centred:
            reach = self.config.crop / _CENTRED_SLACK
            point = (shape - 1) / 2 + self._rng.uniform(-reach, reach, 2)
        else:
            inner = np.minimum(self.config.crop, shape) / 2
            point = self._rng.uniform(inner, shape - inner)
        return float(point[0]), float(point[1])

    def _center(self, item: TrainingSlice) -> tuple[float, float]:
        """Return a point near foreground, or anywhere annotated, from where a crop sees it."""
        if self.config.centred:
            return self.anywhere(item)
        places = self._places[item]
        shape = np.array(item.label.shape, dtype=float)
        inner = np.minimum(self.config.crop, shape) / 2
        slack = self.config.crop / 8
        low, high = inner - slack, shape - inner + slack
        if len(near := self._near(places)):
            reach = self.config.crop / 4
            point = near[int(self._rng.integers(len(near)))].astype(float)
            point += self._rng.uniform(-reach, reach, 2)
        else:
            first, last = places.extent
            point = self._rng.uniform(np.clip(first, low, high), np.clip(last + 1, low, high))
        row, column = np.clip(point, low, high)
        return float(row), float(column)

    def _near(self, places: _Places) -> NDArray[np.intp]:
        """Return pixels (N, 2) near one of which a crop is to lie; none: anywhere annotated."""
        if len(places.corrections) and self._rng.random() < self.config.corrective:
            return places.corrections
        if len(places.foreground) and self._rng.random() < self.config.focus:
            return places.foreground
        return places.foreground[:0]


@dataclass(frozen=True, eq=False)
class _Places:
    """Where crops of a slice may lie: pixels (N, 2), and first and last row and column."""

    corrections: NDArray[np.intp]
    foreground: NDArray[np.intp]
    extent: tuple[NDArray[np.intp], NDArray[np.intp]]

    @classmethod
    def of(cls, item: TrainingSlice) -> _Places:
        return cls(item.corrections(), item.foreground(), annotated_extent(item))


def annotated_extent(item: TrainingSlice) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the first and the last (row, column) with weight: all of a dense slice."""
    where = np.argwhere(item.weight.numpy() > 0)
    return where.min(axis=0), where.max(axis=0)
