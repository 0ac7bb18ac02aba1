"""The fine-tuning tick: a short, careful run on what a human corrected.

Warm start, a tenth of the base learning rate, crops of what humans vouched for, half of them where
the network was wrong and three of four others near foreground, older material replayed in half of
each batch. The fewer slices there are, the nearer the result stays to the weights it came from
(Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022). New weights are refused if
they lose on the check slices.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from napari_crii.checkpoint import Checkpoint, save_serialised, serialise
from napari_crii.device import half_pays, is_out_of_memory, placed
from napari_crii.errors import TrainingError
from napari_crii.networks import CRIINet
from napari_crii.networks.segmenter import Segmenter
from napari_crii.preprocessing import Preprocessing
from napari_crii.snapshot import MINIMUM_CHECK_SLICES, Snapshot
from napari_crii.training.config import TrainingConfig
from napari_crii.training.data import TrainingSlice, from_snapshot, unlabelled_of
from napari_crii.training.events import Checked, Event, Finished, FinishReason, Stepped
from napari_crii.training.fit import learner_of
from napari_crii.training.guard import norm
from napari_crii.training.judging import Judge, loses
from napari_crii.training.tick_config import TickConfig, steps_taken
from napari_crii.training.yielding import yielding

REFUSED = "refused"
BEGAN_ON_PROCESSOR = "Learning failed on {} and began anew on the processor."
NO_MEMORY = "Memory ran out: close other programs, then learn again."


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
        place = torch.device(device)
        yield from _Tick(checkpoint, snapshot, config, place, stop, wanted).run()
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        yield TickResult(FinishReason.FAILED, None, NO_MEMORY)


class _Tick:
    """One run of `run_tick`."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        snapshot: Snapshot,
        config: TickConfig,
        device: torch.device,
        stop: Callable[[], bool],
        wanted: Callable[[], bool],
    ) -> None:
        self._stop, self._wanted, self._device = stop, wanted, device
        recipe, classes = checkpoint.preprocessing, len(checkpoint.classes) + 1
        data = from_snapshot(snapshot.training, recipe, classes)
        fitted = config.fitted((item.label.shape[0], item.label.shape[1]) for item in data)
        settings = _settings(fitted, recipe, device)
        self._slices = len(data)
        self._share = config.share(len(data))
        self._network = copy.deepcopy(checkpoint.network).to(device)
        if settings.corrective:
            data = self._looked_at(data)
        if settings.method.unlabelled:
            data += unlabelled_of(snapshot.unlabelled, recipe)
        check = from_snapshot(snapshot.validation, recipe, classes)
        self._old = checkpoint
        self._judge = Judge(check, classes, device, recipe.one_object)
        self._iterations = config.iterations
        self._learner = learner_of(
            self._network, data, settings, np.random.default_rng(config.seed)
        )

    def run(self) -> Iterator[Event | TickResult]:
        """Judge, learn, judge; who wants the device is given way throughout."""
        before = self._scores(self._learner.average)
        if before:
            yield self._checked(0, before)
        due = self._judge.steps(self._iterations)
        for event in self._learner.run(self._stop, self._wanted):
            yield event
            match event:
                case Stepped(step) if step in due:
                    scores = self._scores(self._held_back(self._learner.average))
                    yield from [self._checked(step, scores)] if scores else []
                case Finished():
                    yield from self._ended(event, before)

    def _looked_at(self, data: Sequence[TrainingSlice]) -> list[TrainingSlice]:
        """Return the slices with what the old network misses; once stopped, as they are."""
        found = list(data)
        with yielding([self._network], self._wanted, self._device):
            for place, item in enumerate(data):
                if self._stop():
                    break
                missed = missed_by(self._network, item, self._device)
                found[place] = replace(item, missed=missed)
        return found

    def _scores(self, network: nn.Module) -> list[float]:
        with yielding([network], self._wanted, self._device):
            return self._judge.scores(network, self._stop)

    def _ended(self, end: Finished, before: list[float]) -> Iterator[Event | TickResult]:
        if end.reason is not FinishReason.COMPLETED:
            words = f"Learning failed: {end.message}." if end.message else ""
            yield TickResult(end.reason, None, words, check_slices=len(before))
            return
        new = self._held_back(self._network)
        after = self._scores(new)
        if len(after) != len(before):
            yield TickResult(FinishReason.STOPPED, None, "", check_slices=len(before))
            return
        if after:
            yield self._checked(end.steps, after)
        yield _judged(self._tuned(new), before, after)

    @torch.no_grad()
    def _held_back(self, network: nn.Module) -> CRIINet:
        """Return a network that goes its share of the way from the old one to another."""
        found = copy.deepcopy(self._old.network).to(self._device)
        for ours, theirs in zip(found.parameters(), network.parameters(), strict=True):
            ours.lerp_(theirs, self._share)
        return found

    def _checked(self, step: int, scores: list[float]) -> Checked:
        return Checked(step, float(np.mean(scores)), len(scores))

    def _tuned(self, network: CRIINet) -> Checkpoint:
        old = self._old
        facts = {**old.provenance, "parent": old.digest, "slices": self._slices}
        steps = steps_taken(old)
        if steps is not None:
            facts["steps"] = steps + self._iterations
        return replace(old, network=placed(network).eval(), provenance=facts, digest="")


def missed_by(network: Segmenter, item: TrainingSlice, device: torch.device) -> Tensor:
    """Return where (H, W), bool, a human vouches for another class than a network finds."""
    with torch.inference_mode():
        found = network(item.image[None].to(device)).refined.argmax(dim=1)[0].cpu()
    return (found != item.label) & (item.weight > 0)


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
