"""A training run of the command line: from folders to a checkpoint that knows its origin."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_crii.cli._learning import follow
from napari_crii.cli._output import progress_bar, version
from napari_crii.cli._training_options import RecipeChoice, recipe_of
from napari_crii.errors import TrainingError

if TYPE_CHECKING:
    from napari_crii.checkpoint import Checkpoint
    from napari_crii.preprocessing import Preprocessing
    from napari_crii.training import TrainingSlice
    from napari_crii.training.method import MethodConfig


@dataclass(frozen=True)
class TrainingRun:
    """What is asked of a training run.

    Attributes
    ----------
    images, labels
        Folders paired by file stem.
    output
        The checkpoint.
    groups
        CSV file of ``file,patient``; without it every file is a patient.
    classes
        Names of the foreground classes.
    half
        Whether to store 16-bit weights.
    without
        Patients to leave out.
    unlabelled
        Folder of scans to learn from without masks.
    preset, method
        A preset's name and its settings.
    iterations, crop, mixed_precision, turned
        As in `TrainingConfig`.
    """

    images: Path
    labels: Path
    output: Path
    groups: Path | None
    classes: tuple[str, ...]
    iterations: int
    crop: int
    mixed_precision: bool
    turned: float
    seed: int
    recipe: RecipeChoice
    half: bool
    without: frozenset[str]
    unlabelled: Path | None
    preset: str
    method: MethodConfig


def run_training(run: TrainingRun) -> dict[str, Any]:
    """Train from scratch, save the checkpoint, and return the JSON object that reports it.

    Raises
    ------
    ScanError, GeometryError, TrainingError
        If a file cannot be read, there is nothing to learn, or training fails.
    WriteError
        If the checkpoint cannot be written.
    """
    import numpy as np

    from napari_crii.checkpoint import new_checkpoint, save_checkpoint
    from napari_crii.classes import numbered_classes
    from napari_crii.cli._folders import create
    from napari_crii.training import TrainingConfig, fit

    recipe = recipe_of(run.images, run.labels, run.recipe)
    data = _load(run, recipe)
    facts = provenance(run.images, data, run.iterations, run.seed)
    if run.preset != "sup":
        facts["preset"] = run.preset
        facts["unlabelled_slices"] = len(data) - facts["slices"]
    if run.without:
        facts["without"] = {"count": len(run.without), "patients": sorted(run.without)}
    fresh = new_checkpoint(numbered_classes(list(run.classes)), recipe, run.seed, facts)
    config = TrainingConfig(
        iterations=run.iterations,
        crop=run.crop,
        mirror_axes=recipe.mirror_axes,
        mixed_precision=run.mixed_precision,
        turned=run.turned,
        method=run.method,
    )
    with progress_bar("learning") as advance:
        events = fit(fresh.network, data, config, np.random.default_rng(run.seed))
        loss = follow(events, advance)
    create(run.output.parent)
    return _report(run, save_checkpoint(run.output, fresh, run.half), loss)


def _load(run: TrainingRun, recipe: Preprocessing) -> list[TrainingSlice]:
    from napari_crii.training.folder import load_folder

    with progress_bar("reading") as advance:
        data = load_folder(
            run.images,
            run.labels,
            recipe,
            run.classes,
            run.groups,
            advance,
        )
    data = leave_out(data, _load_unlabelled(run, recipe), run.without)
    if not any(bool((item.label > 0).any()) for item in data):
        raise TrainingError(f"the masks in {run.labels} are all empty: there is nothing to learn")
    return data


def _load_unlabelled(run: TrainingRun, recipe: Preprocessing) -> list[TrainingSlice]:
    from napari_crii.io.pairs import scans_by_stem
    from napari_crii.training.folder import load_unlabelled

    if run.unlabelled is None:
        return []
    masked = scans_by_stem(run.labels).keys()
    with progress_bar("reading") as advance:
        return load_unlabelled(
            run.unlabelled,
            recipe,
            run.groups,
            masked,
            advance,
        )


def leave_out(
    labelled: list[TrainingSlice], unlabelled: list[TrainingSlice], without: frozenset[str]
) -> list[TrainingSlice]:
    """Return the slices of all other patients, the labelled ones first.

    Raises
    ------
    TrainingError
        If one of these patients has no slice at all, or nobody else has a labelled one.
    """
    found = {item.patient for item in labelled + unlabelled}
    if absent := sorted(without - found):
        raise TrainingError(f"no scan is of patient {absent[0]}, though one is of {min(found)}")
    kept = [item for item in labelled if item.patient not in without]
    if not kept:
        raise TrainingError(
            f"without {', '.join(sorted(without))} nobody with a mask is left to learn from"
        )
    return kept + [item for item in unlabelled if item.patient not in without]


def provenance(
    images: Path, data: list[TrainingSlice], iterations: int, seed: int
) -> dict[str, Any]:
    """Return where weights come from: facts only, no path; patients only left out by name."""
    labelled = [item for item in data if bool((item.weight > 0).any())]
    return {
        "command": "napari-crii train",
        "data": images.absolute().name,
        "slices": len(labelled),
        "patients": len({item.patient for item in labelled}),
        "iterations": iterations,
        "seed": seed,
        "version": version(),
    }


def _report(run: TrainingRun, saved: Checkpoint, loss: float) -> dict[str, Any]:
    facts = saved.provenance
    return {
        "checkpoint": str(run.output),
        "digest": saved.digest,
        "classes": list(run.classes),
        "slices": facts["slices"],
        "patients": facts["patients"],
        "iterations": facts["iterations"],
        "seed": facts["seed"],
        "loss": loss,
    }
