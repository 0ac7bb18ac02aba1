"""Ticks for tests: slices as a session hands them over, and what a run of them leads to."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_crii.checkpoint import Checkpoint
from napari_crii.snapshot import LabelledSlice, Snapshot
from napari_crii.training import TrainingSlice
from napari_crii.training.tick import TickResult, run_tick
from napari_crii.training.tick_config import TickConfig
from napari_crii.volume import IntensityStats

BRIEF = TickConfig(iterations=2, batch=2)


def frozen(item: TrainingSlice, **changes: Any) -> LabelledSlice:
    image = item.image.numpy()
    return LabelledSlice(
        image,
        item.label.numpy().astype(np.uint8),
        item.weight.numpy(),
        IntensityStats.of(image),
        **changes,
    )


def result_of(checkpoint: Checkpoint, snapshot: Snapshot, config: TickConfig) -> TickResult:
    last = list(run_tick(checkpoint, snapshot, config))[-1]
    assert isinstance(last, TickResult)
    return last
