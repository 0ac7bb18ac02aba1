"""The fine-tuning tick: a short, careful run on what a human corrected.

Warm start, a tenth of the base learning rate, crops around the corrections, older material
replayed in half of each batch. New weights are refused if they lose on the check slices.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from napari_crii.checkpoint import Checkpoint, new_checkpoint, save_serialised, serialise
from napari_crii.classes import numbered_classes
from napari_crii.device import half_pays, is_out_of_memory, placed
from napari_crii.errors import TrainingError
from napari_crii.networks.crii import STRIDE
from napari_crii.preprocessing import Preprocessing
from napari_crii.snapshot import MINIMUM_CHECK_SLICES, Snapshot
from napari_crii.training.config import TrainingConfig
from napari_crii.training.data import from_snapshot, unlabelled_of
from napari_crii.training.events import Checked, Event, Finished, FinishReason, Stepped
from napari_crii.training.fit import learner_of
from napari_crii.training.guard import norm
from napari_crii.training.judging import Judge, loses
from napari_crii.training.method import MethodConfig, preset

REFUSED = "refused"
_REACH = 1.5
NO_MEMORY = "Memory ran out: close other programs, then learn again."


@dataclass(frozen=True)
class TickConfig:
    """Settings of a tick; fields as in `TrainingConfig`.

    Attributes
    ----------
    preset
        Name of a preset of the method: ``sup`` learns from what humans said and nothing else.
    """

    iterations: int = 60
    learning_rate: float = 2e-4
    batch: int = 8
    crop: int = 128
    seed: int = 0
    preset: str = "sup"

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
            mirror_axes=mirror_axes,
            method=self.method,
        )


# A young network has little to forget and all to learn: longer than a tick, at the rate of a base
# run, in steps that are small enough for about a minute on two cores.
FIRST_RUN = TickConfig(iterations=180, learning_rate=2e-3, batch=6, crop=96)
YOUNG_RUNS = 4


def first_network(names: Sequence[str], channels: int) -> Checkpoint:
    """Return a new network for foreground classes by name, and 1 (grey) or 3 (RGB) channels."""
    return new_checkpoint(numbered_classes(list(names)), Preprocessing(channels, scope="volume"))


def usual_config(start: Checkpoint) -> TickConfig:
    """Return the settings of a tick from these weights: those of a first run for a young network.

    A network is young until ticks have taken as many steps with it as `YOUNG_RUNS` first runs.
    """
    steps = _steps_taken(start)
    young = steps is not None and steps < YOUNG_RUNS * FIRST_RUN.iterations
    return FIRST_RUN if young else TickConfig()


def _steps_taken(checkpoint: Checkpoint) -> int | None:
    """Return the steps since a network was new; None if it learnt elsewhere before."""
    facts = checkpoint.provenance
    new = not (checkpoint.digest or facts.get("parent"))
    steps: int | None = facts.get("steps", 0 if new else None)
    return steps


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
    before, after
        Mean Dice on the check slices with the old and the new weights; -1 where there are none.
    check_slices
        How many check slices there are.
    """

    reason: str
    checkpoint: Checkpoint | None
    message: str
    before: float = -1.0
    after: float = -1.0
    check_slices: int = 0


def run_tick(
    checkpoint: Checkpoint,
    snapshot: Snapshot,
    config: TickConfig,
    stop: Callable[[], bool] = lambda: False,
    wanted: Callable[[], bool] = lambda: False,
    device: torch.device | str = "cpu",
) -> Iterator[Event | TickResult]:
    """Fine-tune a copy of a checkpoint.

    Parameters
    ----------
    snapshot
        What to learn from and judge by. Its unlabelled slices are learnt from if the preset does.
    stop, wanted
        As of `fit`.
    device
        Where to learn; the result comes back to the CPU.

    Yields
    ------
    Event or TickResult
        `fit`'s events, and `Checked` before, on the way and after, where there are check slices;
        last a `TickResult`, of reason ``failed`` if memory runs out.

    Raises
    ------
    TrainingError
        If the snapshot holds nothing to learn from, or does not fit the checkpoint, or there is
        no such preset.
    """
    try:
        yield from _Tick(checkpoint, snapshot, config, torch.device(device)).run(stop, wanted)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        yield TickResult(FinishReason.FAILED, None, NO_MEMORY)


class _Tick:
    """One run of `run_tick`."""

    def __init__(
        self, checkpoint: Checkpoint, snapshot: Snapshot, config: TickConfig, device: torch.device
    ) -> None:
        recipe, classes = checkpoint.preprocessing, len(checkpoint.classes) + 1
        data = from_snapshot(snapshot.training, recipe, classes)
        fitted = config.fitted((item.label.shape[0], item.label.shape[1]) for item in data)
        settings = _settings(fitted, recipe, device)
        self._slices = len(data)
        if settings.method.unlabelled:
            data += unlabelled_of(snapshot.unlabelled, recipe)
        check = from_snapshot(snapshot.validation, recipe, classes)
        self._old = checkpoint
        self._network = copy.deepcopy(checkpoint.network).to(device)
        self._judge = Judge(check, classes, device)
        self._iterations = config.iterations
        self._learner = learner_of(
            self._network, data, settings, np.random.default_rng(config.seed)
        )

    def run(
        self, stop: Callable[[], bool], wanted: Callable[[], bool]
    ) -> Iterator[Event | TickResult]:
        before = self._judge.scores(self._learner.average)
        if before:
            yield self._checked(0, before)
        due = self._judge.steps(self._iterations)
        for event in self._learner.run(stop, wanted):
            yield event
            if isinstance(event, Stepped) and event.step in due:
                yield self._checked(event.step, self._judge.scores(self._learner.average))
            if isinstance(event, Finished):
                yield from self._ended(event, before)

    def _ended(self, end: Finished, before: list[float]) -> Iterator[Event | TickResult]:
        if end.reason is not FinishReason.COMPLETED:
            words = f"Learning failed: {end.message}." if end.message else ""
            yield TickResult(end.reason, None, words, check_slices=len(before))
            return
        after = self._judge.scores(self._network)
        if after:
            yield self._checked(end.steps, after)
        yield _judged(self._tuned(), before, after)

    def _checked(self, step: int, scores: list[float]) -> Checked:
        return Checked(step, float(np.mean(scores)), len(scores))

    def _tuned(self) -> Checkpoint:
        old = self._old
        facts = {**old.provenance, "parent": old.digest, "slices": self._slices}
        steps = _steps_taken(old)
        if steps is not None:
            facts["steps"] = steps + self._iterations
        return replace(old, network=placed(self._network).eval(), provenance=facts, digest="")


def _settings(config: TickConfig, recipe: Preprocessing, device: torch.device) -> TrainingConfig:
    """Return the settings of the run on a device, for scans of a recipe."""
    settings = config.training(recipe.mirror_axes)
    method = replace(settings.method, largest_component=recipe.one_object)
    return replace(settings, method=method, mixed_precision=half_pays(device))


def publish(checkpoint: Checkpoint, folder: Path) -> Path:
    """Write a checkpoint under a name made of its digest, whole or not at all.

    Raises
    ------
    TrainingError
        If its weights are not finite numbers.
    WriteError
        If the folder cannot be written.
    """
    if not np.isfinite(norm(list(checkpoint.network.parameters()))):
        raise TrainingError("the new weights are not finite numbers and are not published")
    blob, info = serialise(checkpoint)
    path = folder / f"crii-{info.digest[:16]}.safetensors"
    if not path.exists():
        save_serialised(path, blob)
    return path


def _judged(new: Checkpoint, before: list[float], after: list[float]) -> TickResult:
    """Say whether new weights may be published, from the Dice of every check slice."""
    count, needed = len(before), MINIMUM_CHECK_SLICES
    if not count:
        words = f"Not checked: 0 of the {needed} check slices that this needs are there."
        return TickResult(FinishReason.COMPLETED, new, words)
    old, tuned = float(np.mean(before)), float(np.mean(after))
    figures = f"Dice {old:.2f} -> {tuned:.2f} on"
    if count >= needed and loses(before, after):
        words = f"The update made proposals worse: {figures} {count} check slices."
        return TickResult(REFUSED, None, words, old, tuned, count)
    few = "" if count >= needed else f" of the {needed}"
    words = f"{figures} {count}{few} check slices{' that a verdict needs' if few else ''}."
    return TickResult(FinishReason.COMPLETED, new, words, old, tuned, count)
