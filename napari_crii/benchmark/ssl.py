"""Few labels, side by side: every method on the same patients, batches, budget and inference."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from napari_crii.benchmark.few_labels import (
    Segment,
    Split,
    centre_field,
    mean_shape,
    score_slices,
    split_patients,
)
from napari_crii.benchmark.machine import peak_megabytes, start_peak
from napari_crii.benchmark.material import material_digest
from napari_crii.benchmark.methods import METHODS, Method, Setting
from napari_crii.benchmark.runs import Run, as_read_back, find_run, kept_or_made, read_runs
from napari_crii.device import placed
from napari_crii.errors import TrainingError
from napari_crii.networks import NetworkConfig, seeded
from napari_crii.preprocessing import Preprocessing
from napari_crii.training import TrainingConfig, steps_of
from napari_crii.training.data import TrainingSlice
from napari_crii.training.fit import Learner
from napari_crii.training.folder import load_folder
from napari_crii.training.method import SUP
from napari_crii.training.streams import StreamSampler

BUDGETS = (0.25, 0.5, 1.0)
FLOOR = "mean_shape"
NAMES = (FLOOR, *METHODS)
# Where less of the foreground than this lies in the field of view, it is said.
NOTED_SHARE = 0.99
_log = logging.getLogger(__name__)

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Comparison:
    """What is compared on what.

    Attributes
    ----------
    images, labels, groups
        Folders paired by file stem, and a CSV file of ``file,patient``; without it every file
        is a patient.
    classes
        Names of the foreground classes.
    recipe, training
        Preprocessing and training settings of every run.
    methods
        Names out of `NAMES`.
    labelled
        Share of the training patients that are labelled.
    draws, folds, fold_count
        Which choices of the labelled, and which folds out of how many.
    largest_component
        Whether each class is one connected object.
    """

    images: Path
    labels: Path
    groups: Path | None
    classes: tuple[str, ...]
    recipe: Preprocessing
    training: TrainingConfig
    methods: tuple[str, ...]
    labelled: float = 0.04
    draws: tuple[int, ...] = (0, 1, 2)
    folds: tuple[int, ...] = (0, 1, 2, 3, 4)
    fold_count: int = 5
    largest_component: bool = False

    def __post_init__(self) -> None:
        """Refuse methods that there are not."""
        for name in self.methods:
            if name not in NAMES:
                raise TrainingError(
                    f"there is no method '{name}': the methods are {', '.join(NAMES)}"
                )

    def settings(self) -> Run:
        """Return everything but the slices that decides a result, as JSON reads it back."""
        training = asdict(self.training)
        # Every method brings its own; what a preset means stands in the release.
        del training["method"]
        # A comparison has no weights at hand that could be wrong somewhere.
        del training["corrective"]
        parts = {
            "classes": self.classes,
            "recipe": asdict(self.recipe),
            "training": training,
            "fold_count": self.fold_count,
            "largest_component": self.largest_component,
        }
        return as_read_back(parts)


def compare(
    plan: Comparison, out: Path, progress: Progress = lambda done, total, name: None
) -> list[Run]:
    """Train and test every method; runs that are finished in `out` are not computed again.

    Nothing is trained before every draw and fold is known to be possible.

    Returns
    -------
    list of dict
        One per method, draw, fold and budget: those and ``data``, ``labelled`` and ``iterations``,
        the measures of `score_slices`, ``seconds_per_iteration`` (of the processor) and
        ``peak_mb``.

    Raises
    ------
    ScanError, GeometryError, TrainingError
        If a file cannot be read, patients cannot be dealt, or training fails.
    CriiError
        If `out` holds something else than runs.
    """
    finished = read_runs(out)
    data = load_material(plan)
    check_splits(plan, data)
    material = material_digest(data)
    jobs = [(d, f, m) for d in plan.draws for f in plan.folds for m in plan.methods]
    found: list[Run] = []
    for done, (draw, fold, name) in enumerate(jobs):
        key = {
            "data": plan.images.absolute().parent.name,
            "method": name,
            "draw": draw,
            "fold": fold,
            "labelled": plan.labelled,
            "iterations": plan.training.iterations,
            "settings": plan.settings(),
            "material": material,
        }
        keys = [{**key, "budget": budget} for budget in BUDGETS]
        runs = [run for one in keys if (run := find_run(finished, one)) is not None]
        if len(runs) < len(keys):
            split = split_patients(data, plan.labelled, draw, fold, plan.fold_count)
            telling = _telling(progress, done, len(jobs), name)
            scores = list(_run(plan, name, split, draw, fold, telling))
            runs = [
                kept_or_made(out, finished, one, partial(dict, measured))
                for one, measured in zip(keys, scores, strict=True)
            ]
        found += runs
        progress(done + 1, len(jobs), name)
    return found


def check_splits(plan: Comparison, data: Sequence[TrainingSlice]) -> None:
    """Deal patients for every draw and fold; errors as those of `split_patients`."""
    for draw in plan.draws:
        for fold in plan.folds:
            split_patients(data, plan.labelled, draw, fold, plan.fold_count)


def load_material(plan: Comparison) -> list[TrainingSlice]:
    """Return every slice, cut to the field of view; what is lost by that is said."""
    data = load_folder(plan.images, plan.labels, plan.recipe, plan.classes, plan.groups)
    size = plan.training.crop
    cut = [centre_field(item, size) for item in data]
    whole, left = (sum(int((s.label > 0).sum()) for s in slices) for slices in (data, cut))
    if left < NOTED_SHARE * whole:
        share = round(100 * (1 - left / whole))
        lost = f"{share} % of the labelled pixels lie outside the central {size}"
        _log.warning("%s and take no part: see --size", lost)
    return cut


def _telling(progress: Progress, done: int, total: int, name: str) -> Callable[[int], None]:
    return lambda step: progress(done, total, f"{name} {step}")


def _run(
    plan: Comparison, name: str, split: Split, draw: int, fold: int, stepped: Callable[[int], None]
) -> Iterator[Run]:
    """Yield what is measured at each budget."""
    classes = len(plan.classes) + 1
    if name == FLOOR:
        shape = mean_shape(split.labelled, classes)
        scores = score_slices(split.tested, lambda image: shape, classes)
        yield from [{**scores, "seconds_per_iteration": 0.0, "peak_mb": None}] * len(BUDGETS)
        return
    method, seed = METHODS[name], draw * plan.fold_count + fold
    learner = build_learner(plan, method, split, seed)
    start_peak()
    for seconds, steps in _trained(learner, plan.training.iterations, stepped):
        scores = score_slices(split.tested, segmenter(method, learner.average), classes)
        cost = {"seconds_per_iteration": round(seconds / steps, 4), "peak_mb": peak_megabytes()}
        yield {**scores, **cost}


def build_learner(plan: Comparison, method: Method, split: Split, seed: int) -> Learner:
    """Return a method ready to learn; the same seed gives the same crops to every method."""
    classes = len(plan.classes) + 1
    with seeded(seed):
        network = method.network(NetworkConfig(plan.recipe.in_channels, classes))
    placed(network)
    # The sampler reads from the method's settings only whether there are two streams.
    streams = replace(SUP, unlabelled=method.unlabelled)
    training = replace(plan.training, strong=not method.weak, method=streams)
    data = split.labelled + split.unlabelled if method.all_labels else split.training
    rng = np.random.default_rng(seed)
    sampler = StreamSampler(data, training, rng, method.strong_views)
    objective = method.objective(Setting(classes, plan.largest_component, training.mirror_axes))
    return Learner(network, objective, sampler, training, rng)


def _trained(
    learner: Learner, iterations: int, stepped: Callable[[int], None]
) -> Iterator[tuple[float, int]]:
    """Train; at each budget yield the processor seconds so far and the steps taken."""
    stops = [max(1, round(budget * iterations)) for budget in BUDGETS]
    spent, started = 0.0, time.process_time()
    for event in steps_of(learner.run()):
        stepped(event.step)
        for _ in range(stops.count(event.step)):
            spent += time.process_time() - started
            yield spent, event.step
            started = time.process_time()


def segmenter(method: Method, network: nn.Module) -> Segment:
    """Return how the averaged network labels an image: one view, no post-processing."""

    def segment(image: Tensor) -> Tensor:
        with torch.inference_mode():
            return method.logits(network, image[None]).argmax(dim=1)[0]

    return segment
