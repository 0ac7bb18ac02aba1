"""The fine-tuning tick: a short, careful run on what a human corrected.

Warm start, a tenth of the base learning rate, crops around the corrections, older material
replayed in half of each batch. New weights are refused if they lose on the check slices.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from scipy.special import stdtrit

from napari_crii.checkpoint import Checkpoint, save_checkpoint, serialise
from napari_crii.metrics import dice
from napari_crii.snapshot import Snapshot
from napari_crii.training.config import TrainingConfig
from napari_crii.training.data import TrainingSlice, from_snapshot
from napari_crii.training.events import Event, Finished, FinishReason
from napari_crii.training.fit import fit

MINIMUM_CHECK_SLICES = 3
TOLERATED_LOSS = 0.005
_CONFIDENCE = 0.9


@dataclass(frozen=True)
class TickConfig:
    """Settings of a tick; fields as in `TrainingConfig`."""

    iterations: int = 60
    learning_rate: float = 2e-4
    batch: int = 8
    crop: int = 128
    seed: int = 0

    def with_overrides(self, iterations: int = 0, learning_rate: float = 0.0) -> TickConfig:
        """Return these settings, with those replaced that are not 0."""
        return replace(
            self,
            iterations=iterations or self.iterations,
            learning_rate=learning_rate or self.learning_rate,
        )

    def training(self, mirror_axes: tuple[int, ...]) -> TrainingConfig:
        """Return the settings of the run, for crops that may be mirrored along these axes."""
        return TrainingConfig(
            iterations=self.iterations,
            batch=self.batch,
            crop=self.crop,
            learning_rate=self.learning_rate,
            warmup=10,
            focus=0.75,
            mirror_axes=mirror_axes,
        )


# A new network has nothing to forget and all to learn: longer than a tick, at the rate of a base
# run, in steps that are small enough for about a minute on two cores.
FIRST_RUN = TickConfig(iterations=180, learning_rate=2e-3, batch=6, crop=96)


@dataclass(frozen=True, eq=False)
class TickResult:
    """What a tick leads to.

    Attributes
    ----------
    reason
        A `FinishReason`, or ``"refused"``.
    checkpoint
        The new weights, or None where there is nothing to publish.
    message
        One sentence for the user.
    """

    reason: str
    checkpoint: Checkpoint | None
    message: str


def run_tick(
    checkpoint: Checkpoint,
    snapshot: Snapshot,
    config: TickConfig,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Event | TickResult]:
    """Fine-tune a copy of a checkpoint; yields `fit`'s events, last a `TickResult`.

    Raises
    ------
    TrainingError
        If the snapshot holds nothing to learn from, or does not fit the checkpoint.
    """
    classes = len(checkpoint.classes) + 1
    recipe = checkpoint.preprocessing
    data = from_snapshot(snapshot.training, recipe, classes)
    network = copy.deepcopy(checkpoint.network)
    settings = config.training(recipe.mirror_axes)
    end = Finished(FinishReason.FAILED, 0, "the run did not end")
    for event in fit(network, data, settings, np.random.default_rng(config.seed), stop):
        yield event
        if isinstance(event, Finished):
            end = event
    if end.reason is not FinishReason.COMPLETED:
        yield TickResult(end.reason, None, end.message)
        return
    provenance = {**checkpoint.provenance, "parent": checkpoint.digest, "slices": len(data)}
    tuned = replace(checkpoint, network=network, provenance=provenance, digest="")
    yield _judged(checkpoint, tuned, from_snapshot(snapshot.validation, recipe, classes))


def publish(checkpoint: Checkpoint, folder: Path) -> Path:
    """Write a checkpoint under a name made of its digest, whole or not at all.

    Raises
    ------
    WriteError
        If the folder cannot be written.
    """
    _, info = serialise(checkpoint)
    path = folder / f"crii-{info.digest[:16]}.safetensors"
    if not path.exists():
        save_checkpoint(path, checkpoint)
    return path


def loses(before: Sequence[float], after: Sequence[float]) -> bool:
    """Whether it is shown, one-sided at 90 %, that more than half a Dice point was lost.

    Parameters
    ----------
    before, after
        Dice of the same check slices, at least two, under the old and the new weights.
    """
    change = np.asarray(after, dtype=float) - np.asarray(before, dtype=float)
    error = float(change.std(ddof=1)) / math.sqrt(len(change))
    # Student's t: with three slices the normal quantile would refuse too easily.
    quantile = float(stdtrit(len(change) - 1, _CONFIDENCE))
    return float(change.mean()) + quantile * error < -TOLERATED_LOSS


def _judged(old: Checkpoint, new: Checkpoint, check: Sequence[TrainingSlice]) -> TickResult:
    if len(check) < MINIMUM_CHECK_SLICES:
        return TickResult(
            FinishReason.COMPLETED,
            new,
            f"Not checked: {len(check)} of the {MINIMUM_CHECK_SLICES} check slices that "
            "this needs are there.",
        )
    before, after = ([_slice_dice(c, s) for s in check] for c in (old, new))
    figures = f"Dice {np.mean(before):.2f} -> {np.mean(after):.2f} on {len(check)} check slices."
    if loses(before, after):
        return TickResult("refused", None, f"The update made proposals worse: {figures}")
    return TickResult(FinishReason.COMPLETED, new, figures)


def _slice_dice(checkpoint: Checkpoint, item: TrainingSlice) -> float:
    """Return the mean Dice of the foreground classes where a human vouches."""
    with torch.inference_mode():
        labels = checkpoint.network(item.image[None]).refined.argmax(dim=1)[0]
    said = (item.weight > 0).numpy()
    predicted, truth = labels.numpy()[said], item.label.numpy()[said]
    return float(np.mean([dice(predicted == c.id, truth == c.id) for c in checkpoint.classes]))
