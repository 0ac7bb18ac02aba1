"""How a tick learns: settings for grown networks and for young ones."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from napari_crii.checkpoint import Checkpoint, new_checkpoint
from napari_crii.classes import numbered_classes
from napari_crii.networks.crii import STRIDE
from napari_crii.preprocessing import Preprocessing
from napari_crii.training.config import TrainingConfig
from napari_crii.training.method import MethodConfig, preset

_REACH = 1.5


@dataclass(frozen=True)
class TickConfig:
    """Settings of a tick; fields as in `TrainingConfig`.

    Attributes
    ----------
    preset
        Name of a preset of the method: ``sup`` learns from what humans said and nothing else.
    halfway
        From how many slices the result goes half of the way from the weights at hand to those that
        were learnt; 0 goes all of it from any.
    """

    iterations: int = 60
    learning_rate: float = 2e-4
    batch: int = 8
    crop: int = 128
    seed: int = 0
    preset: str = "sup"
    corrective: float = 0.5
    halfway: int = 1

    def with_overrides(
        self, iterations: int = 0, learning_rate: float = 0.0, preset: str = ""
    ) -> TickConfig:
        """Return these settings, with those replaced that are neither 0 nor empty."""
        return replace(
            self,
            iterations=iterations or self.iterations,
            learning_rate=learning_rate or self.learning_rate,
            preset=preset or self.preset,
        )

    def fitted(self, shapes: Iterable[tuple[int, int]]) -> TickConfig:
        """Return these settings with crops as large as slices of these shapes (H, W) need.

        Crops reach beyond the largest slice by half of it and no farther: wherever in the slice
        their centre lies they hold most of it, and what lies beyond teaches nothing.
        """
        side = max((max(shape) for shape in shapes), default=self.crop)
        return replace(self, crop=min(self.crop, math.ceil(_REACH * side / STRIDE) * STRIDE))

    def share(self, slices: int) -> float:
        """Return which part of the way the result goes that is learnt from so many slices."""
        return slices / max(1, slices + self.halfway)

    @property
    def method(self) -> MethodConfig:
        """The settings of the preset; raises `TrainingError` if there is none of that name."""
        return preset(self.preset)

    def training(self, mirror_axes: tuple[int, ...]) -> TrainingConfig:
        """Return the settings of the run, for crops that may be mirrored along these axes."""
        return TrainingConfig(
            iterations=self.iterations,
            batch=self.batch,
            crop=self.crop,
            learning_rate=self.learning_rate,
            warmup=10,
            focus=0.75,
            corrective=self.corrective,
            mirror_axes=mirror_axes,
            method=self.method,
        )


# A young network has little to forget and all to learn: longer than a tick, at the rate of a base
# run, in steps that are small enough for about a minute on two cores.
FIRST_RUN = TickConfig(
    iterations=180, learning_rate=2e-3, batch=6, crop=96, corrective=0.0, halfway=0
)
YOUNG_RUNS = 4


def first_network(names: Sequence[str], channels: int) -> Checkpoint:
    """Return a new network for foreground classes by name, and 1 (grey) or 3 (RGB) channels."""
    return new_checkpoint(numbered_classes(list(names)), Preprocessing(channels, scope="volume"))


def usual_config(start: Checkpoint) -> TickConfig:
    """Return the settings of a tick from these weights: those of a first run for a young network.

    A network is young until ticks have taken as many steps with it as `YOUNG_RUNS` first runs.
    """
    steps = steps_taken(start)
    young = steps is not None and steps < YOUNG_RUNS * FIRST_RUN.iterations
    return FIRST_RUN if young else TickConfig()


def steps_taken(checkpoint: Checkpoint) -> int | None:
    """Return the steps since a network was new; None if it learnt elsewhere before."""
    facts = checkpoint.provenance
    new = not (checkpoint.digest or facts.get("parent"))
    steps: int | None = facts.get("steps", 0 if new else None)
    return steps
