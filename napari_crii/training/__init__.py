"""Learning: from slices with dense or partial masks to weights, as a generator of events."""

from napari_crii.training.config import TrainingConfig
from napari_crii.training.data import TrainingSlice
from napari_crii.training.events import (
    Checked,
    Event,
    Finished,
    FinishReason,
    Remarked,
    Stepped,
    steps_of,
)
from napari_crii.training.fit import fit

__all__ = [
    "Checked",
    "Event",
    "FinishReason",
    "Finished",
    "Remarked",
    "Stepped",
    "TrainingConfig",
    "TrainingSlice",
    "fit",
    "steps_of",
]
