"""Learning: from slices with dense or partial masks to weights, as a generator of events."""

from napari_crii.training.config import TrainingConfig
from napari_crii.training.data import TrainingSlice
from napari_crii.training.events import Event, Finished, FinishReason, Stepped, steps_of
from napari_crii.training.fit import fit

__all__ = [
    "Event",
    "FinishReason",
    "Finished",
    "Stepped",
    "TrainingConfig",
    "TrainingSlice",
    "fit",
    "steps_of",
]
