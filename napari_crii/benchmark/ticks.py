"""What the network learns while a scan is corrected: 1, 2, 4 and 8 slices of it, tick by tick.

A simulated reader corrects slices of one scan to the expert's masks; after each round a
fine-tuning tick learns from them, as in the window. Tested is the rest of the scan, and other
patients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from napari_crii.benchmark.few_labels import pooled_dice
from napari_crii.benchmark.material import material_digest
from napari_crii.benchmark.runs import Run, as_read_back, kept_or_made, read_runs
from napari_crii.checkpoint import Checkpoint, load_checkpoint, new_checkpoint, transferred
from napari_crii.checkpoint_info import read_checkpoint_info
from napari_crii.classes import numbered_classes
from napari_crii.errors import TrainingError
from napari_crii.preprocessing import Preprocessing
from napari_crii.snapshot import LabelledSlice, Snapshot, UnlabelledSlice
from napari_crii.training import TrainingSlice
from napari_crii.training.data import from_snapshot
from napari_crii.training.folder import read_pairs
from napari_crii.training.tick import TickResult, run_tick
from napari_crii.training.tick_config import FIRST_RUN, YOUNG_RUNS, TickConfig, usual_config
from napari_crii.volume import neighbourhood

CORRECTED = (1, 2, 4, 8)
UNNAMED = ("foreground",)
STARTS = ("none", "other", "own", "grown")
PRESETS = ("sup", "plus")

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class TickStudy:
    """What is studied.

    Attributes
    ----------
    images, labels, groups, classes, recipe
        As in `napari_crii.benchmark.ssl.Comparison`.
    other
        A checkpoint of another task, for the start ``other``.
    starts, presets
        Out of `STARTS` and `PRESETS`. ``own`` starts from a network that first learnt one other
        patient of the same task; ``grown`` from one that did so until it was no longer young.
    seeds
        Each draws its own scans to correct, patients to test, and slices.
    scans, tested
        How many scans are corrected, and how many other patients tested, per seed.
    crop
        Side of the crops learnt from, in pixels.
    """

    images: Path
    labels: Path
    groups: Path | None
    classes: tuple[str, ...]
    recipe: Preprocessing
    other: Path
    starts: tuple[str, ...] = STARTS
    presets: tuple[str, ...] = PRESETS
    seeds: tuple[int, ...] = (0, 1, 2)
    scans: int = 4
    tested: int = 3
    crop: int = 128

    def __post_init__(self) -> None:
        """Refuse starts and presets that there are not."""
        for kind, names, known in (
            ("start", self.starts, STARTS),
            ("preset", self.presets, PRESETS),
        ):
            if unknown := sorted(set(names) - set(known)):
                raise TrainingError(f"there is no {kind} '{unknown[0]}': {', '.join(known)}")

    def settings(self) -> Run:
        """Return what decides a result besides the slices, as JSON reads it back."""
        names = ("classes", "scans", "tested", "crop")
        parts = {name: getattr(self, name) for name in names}
        return as_read_back({**parts, "recipe": asdict(self.recipe)})


def study_ticks(
    plan: TickStudy, out: Path, progress: Progress = lambda done, total, name: None
) -> list[Run]:
    """Correct scans slice by slice and learn; what is finished in `out` is not done again.

    Returns
    -------
    list of dict
        One per start, preset, seed and corrected scan: ``data``, ``patient``, ``rest`` and
        ``others``, the Dice (mean over classes, slices pooled by patient) on those slices of the
        scan that are corrected in no round, and on other patients, after ``corrected`` slices.

    Raises
    ------
    ScanError, GeometryError, TrainingError
        If a file cannot be read, there are too few patients, or training fails.
    """
    if "other" in plan.starts:
        _require_another_task(plan)
    finished = read_runs(out)
    by_patient = _read(plan)
    material = material_digest(_prepared(plan, [s for p in by_patient.values() for s in p]))
    jobs = [
        (start, preset, seed, scan)
        for seed in plan.seeds
        for scan in range(plan.scans)
        for start in plan.starts
        for preset in plan.presets
    ]
    found = []
    for done, (start, preset, seed, scan) in enumerate(jobs):
        name = f"{start} {preset} {seed} {scan}"
        progress(done, len(jobs), name)
        key = {
            "data": plan.images.absolute().parent.name,
            "start": start,
            "preset": preset,
            "seed": seed,
            "scan": scan,
            "settings": plan.settings(),
            "material": material,
        }
        work = partial(_corrected, plan, by_patient, start, preset, seed, scan)
        found.append(kept_or_made(out, finished, key, work))
        progress(done + 1, len(jobs), name)
    return found


def _require_another_task(plan: TickStudy) -> None:
    names = tuple(c.name for c in read_checkpoint_info(plan.other).classes)
    # What nobody named may be anything.
    if names == plan.classes != UNNAMED:
        raise TrainingError(
            f"{plan.other.name} has the classes of the task itself, {', '.join(names)}: "
            "name a checkpoint of another task with --other"
        )


def _corrected(
    plan: TickStudy,
    by_patient: dict[str, list[LabelledSlice]],
    start: str,
    preset: str,
    seed: int,
    scan: int,
) -> Run:
    """Correct one scan, and return how well the rest and others are segmented meanwhile."""
    corrected, others, taught = _draw(plan, by_patient, seed)
    patient = corrected[scan]
    slices = by_patient[patient]
    order = correction_order(slices, max(CORRECTED), np.random.default_rng([seed, scan]))
    rest = _prepared(plan, [s for i, s in enumerate(slices) if i not in order])
    elsewhere = _prepared(plan, [s for name in others for s in by_patient[name]])
    checkpoint = _start(plan, start, by_patient[taught], seed)
    scores = [(_dice(checkpoint, rest), _dice(checkpoint, elsewhere))]
    for count in CORRECTED:
        config = replace(usual_config(checkpoint), crop=plan.crop, preset=preset)
        checkpoint = _ticked(checkpoint, _snapshot(slices, order, count), config)
        scores.append((_dice(checkpoint, rest), _dice(checkpoint, elsewhere)))
    return {
        "patient": patient,
        "corrected": [0, *CORRECTED],
        "rest": [round(a, 4) for a, _ in scores],
        "others": [round(b, 4) for _, b in scores],
    }


def correction_order(
    slices: Sequence[LabelledSlice], count: int, rng: np.random.Generator
) -> list[int]:
    """Return which slices are corrected, in order: one with an object, then the farthest ones.

    Raises
    ------
    TrainingError
        If there are not twice as many slices with an object.
    """
    shown = [i for i, item in enumerate(slices) if bool((item.labels > 0).any())]
    if len(shown) < 2 * count:
        raise TrainingError(
            f"patient {slices[0].patient} shows an object on {len(shown)} slices: "
            f"{2 * count} are needed"
        )
    order = [shown[int(rng.integers(len(shown)))]]
    while len(order) < count:
        gaps = [min(abs(i - j) for j in order) for i in shown]
        order.append(shown[int(np.argmax(gaps))])
    return order


def _draw(
    plan: TickStudy, by_patient: dict[str, list[LabelledSlice]], seed: int
) -> tuple[list[str], list[str], str]:
    """Return whose scans are corrected, who is tested, and whom the start ``own`` has learnt."""
    rng = np.random.default_rng([7, seed])
    names = [str(name) for name in rng.permutation(sorted(by_patient))]
    shown = {n: sum(bool((s.labels > 0).any()) for s in by_patient[n]) for n in names}
    full = [name for name in names if shown[name] >= 2 * max(CORRECTED)]
    corrected = full[: plan.scans]
    left = [name for name in names if name not in corrected]
    if len(corrected) < plan.scans or len(left) <= plan.tested:
        raise TrainingError(
            f"{plan.scans} scans with an object on {2 * max(CORRECTED)} slices and "
            f"{plan.tested + 1} other patients are needed; there are {len(full)} and {len(left)}"
        )
    return corrected, left[: plan.tested], left[plan.tested]


def _start(plan: TickStudy, start: str, taught: Sequence[LabelledSlice], seed: int) -> Checkpoint:
    classes = numbered_classes(list(plan.classes))
    fresh = new_checkpoint(classes, plan.recipe, seed=seed)
    if start == "other":
        return transferred(load_checkpoint(plan.other), fresh)
    config = replace(FIRST_RUN, crop=plan.crop, preset="sup")
    for _ in range({"own": 1, "grown": YOUNG_RUNS}.get(start, 0)):
        fresh = _ticked(fresh, Snapshot(tuple(taught)), config)
    return fresh


def _snapshot(slices: Sequence[LabelledSlice], order: Sequence[int], count: int) -> Snapshot:
    """Return what the trainer sees after `count` corrections: the last round's are fresh."""
    known = {n: place for place, n in enumerate(order[:count])}
    before = max((n for n in CORRECTED if n < count), default=0)
    said = (replace(slices[n], replay=place < before) for n, place in known.items())
    rest = (item for index, item in enumerate(slices) if index not in known)
    unsaid = (UnlabelledSlice(s.image, s.stats, s.pixel_spacing, s.patient) for s in rest)
    return Snapshot(tuple(said), tuple(unsaid))


def _ticked(checkpoint: Checkpoint, snapshot: Snapshot, config: TickConfig) -> Checkpoint:
    """Return what a tick makes of a checkpoint.

    Raises
    ------
    TrainingError
        If it leads to nothing.
    """
    *_, result = run_tick(checkpoint, snapshot, config)
    if not isinstance(result, TickResult) or result.checkpoint is None:
        raise TrainingError("a tick led to no weights")
    return result.checkpoint


def _dice(checkpoint: Checkpoint, slices: Sequence[TrainingSlice]) -> float:
    """Return the pooled Dice of one view of the refined output."""

    def segment(image: Tensor) -> Tensor:
        with torch.inference_mode():
            labels: Tensor = checkpoint.network(image[None]).refined.argmax(dim=1)[0]
        return labels

    return pooled_dice(slices, segment, len(checkpoint.classes) + 1)


def _read(plan: TickStudy) -> dict[str, list[LabelledSlice]]:
    """Return every slice of every scan that has a mask, by patient."""
    found: dict[str, list[LabelledSlice]] = {}
    count = len(plan.classes) + 1
    for volume, said, patient in read_pairs(plan.images, plan.labels, count, plan.groups):
        for index, labels in enumerate(np.moveaxis(said, volume.slice_axis, 0)):
            found.setdefault(patient, []).append(
                LabelledSlice(
                    image=neighbourhood(volume, index, plan.recipe.neighbours),
                    labels=labels,
                    weights=np.ones(labels.shape, dtype=np.float32),
                    stats=volume.intensity,
                    pixel_spacing=volume.pixel_spacing,
                    patient=patient,
                )
            )
    return found


def _prepared(plan: TickStudy, slices: Sequence[LabelledSlice]) -> list[TrainingSlice]:
    return from_snapshot(slices, plan.recipe, len(plan.classes) + 1)
