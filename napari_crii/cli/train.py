"""``napari-crii train``: from a folder of scans and a folder of masks to a checkpoint."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_crii.cli._output import Advance, JsonOption, progress_bar, version, write_json
from napari_crii.cli._training_options import (
    AdaptiveContrast,
    AssumedMm,
    Classes,
    Crop,
    Images,
    Iterations,
    Labels,
    MaybeGroups,
    MixedPrecision,
    Neighbours,
    NoMirror,
    OneObject,
    PixelMm,
    RecipeChoice,
    Scope,
    ScopeOption,
    Seed,
    Turned,
    class_names,
    names_in,
    recipe_of,
    say_what_is_left_out,
)
from napari_crii.errors import TrainingError, WriteError

if TYPE_CHECKING:
    from napari_crii.checkpoint import Checkpoint
    from napari_crii.preprocessing import Preprocessing
    from napari_crii.training import Event, Finished, TrainingSlice
    from napari_crii.training.method import MethodConfig

_SUFFIX = ".safetensors"


Output = Annotated[
    Path,
    typer.Option(
        "--output", "-o", readable=False, metavar="FILE", help="The checkpoint, *.safetensors."
    ),
]
Without = Annotated[
    str | None,
    typer.Option(
        metavar="PATIENT,PATIENT", help="Patients of --groups to leave out, to test on later."
    ),
]
Unlabelled = Annotated[
    Path | None,
    typer.Option(
        readable=False, metavar="DIR", help="Folder of scans to learn from without masks."
    ),
]
Preset = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="sup, faithful or plus; without it plus with --unlabelled, else sup.",
    ),
]
Half = Annotated[bool, typer.Option("--half", help="Store 16-bit weights: half the size.")]


@dataclass(frozen=True)
class _Run:
    """What is asked of a training run."""

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


def train(
    images: Images,
    labels: Labels,
    output: Output,
    groups: MaybeGroups = None,
    classes: Classes = None,
    iterations: Iterations = 1500,
    crop: Crop = 128,
    mixed_precision: MixedPrecision = False,
    turned: Turned = 0.0,
    seed: Seed = 0,
    neighbours: Neighbours = 0,
    scope: ScopeOption = Scope.SLICE,
    no_mirror: NoMirror = False,
    pixel_mm: PixelMm = None,
    assumed_mm: AssumedMm = None,
    adaptive_contrast: AdaptiveContrast = False,
    half: Half = False,
    without: Without = None,
    unlabelled: Unlabelled = None,
    preset: Preset = None,
    one_object: OneObject = False,
    as_json: JsonOption = False,
) -> None:
    """Train a network from scratch on every slice of every scan that has a mask.

    With --unlabelled it learns from scans without masks, too; those of that folder that have a
    mask in --labels, or whose patient is left out, take no part.
    """
    from napari_crii.cli._folders import require_writable

    if output.suffix.lower() != _SUFFIX:
        raise WriteError(f"{output} is no name for a checkpoint: it must end in {_SUFFIX}")
    require_writable(output.parent)
    chosen = preset or ("sup" if unlabelled is None else "plus")
    run = _Run(
        images=images,
        labels=labels,
        output=output,
        groups=groups,
        classes=class_names(classes),
        iterations=iterations,
        crop=crop,
        mixed_precision=mixed_precision,
        turned=turned,
        seed=seed,
        recipe=RecipeChoice(
            neighbours, scope, not no_mirror, pixel_mm, assumed_mm, adaptive_contrast, one_object
        ),
        half=half,
        without=_patients(without, groups),
        unlabelled=unlabelled,
        preset=chosen,
        method=_method(chosen, unlabelled, one_object),
    )
    say_what_is_left_out(images, labels)
    report = _train(run)
    if as_json:
        write_json(report)
    else:
        typer.echo(
            f"{report['checkpoint']}: learnt from {report['slices']} slices of "
            f"{report['patients']} patients, final loss {report['loss']:.3f}"
        )


def _patients(without: str | None, groups: Path | None) -> frozenset[str]:
    if without is None:
        return frozenset()
    if groups is None:
        raise TrainingError("--without needs --groups, the table that says whose scan is whose")
    return frozenset(names_in(without, "patients to leave out"))


def _method(name: str, unlabelled: Path | None, one_object: bool) -> MethodConfig:
    """Return the method, of which a folder of unlabelled scans must make sense.

    Raises
    ------
    TrainingError
        If there is no such preset, or it would not look at that folder.
    """
    from napari_crii.training.method import preset

    found = preset(name)
    if unlabelled is not None and not found.unlabelled:
        raise TrainingError(f"the preset {name} learns nothing from --unlabelled: choose plus")
    return replace(found, largest_component=one_object)


def finished(events: Iterable[Event], advance: Advance) -> tuple[Finished, float]:
    """Show the progress of a run, and return how it ended, with its last loss.

    Raises
    ------
    TrainingError
        If it failed.
    """
    from napari_crii.training import Finished, FinishReason, Stepped

    loss = float("inf")
    for event in events:
        if isinstance(event, Stepped):
            loss = event.loss
            advance(event.step, event.total, f"loss {loss:.3f}")
        elif isinstance(event, Finished) and event.reason is FinishReason.FAILED:
            raise TrainingError(f"training failed, nothing was saved: {event.message}")
        else:
            return event, loss
    raise TrainingError("training ended without a result")


def _train(run: _Run) -> dict[str, Any]:
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
        _, loss = finished(events, advance)
    create(run.output.parent)
    return _report(run, save_checkpoint(run.output, fresh, run.half), loss)


def _load(run: _Run, recipe: Preprocessing) -> list[TrainingSlice]:
    from napari_crii.training.folder import load_folder

    with progress_bar("reading") as advance:
        data = load_folder(
            run.images,
            run.labels,
            recipe,
            run.classes,
            run.groups,
            lambda done, total: advance(done, total, ""),
        )
    data = leave_out(data, run.without)
    if not any(bool((item.label > 0).any()) for item in data):
        raise TrainingError(f"the masks in {run.labels} are all empty: there is nothing to learn")
    return data + _load_unlabelled(run, recipe)


def _load_unlabelled(run: _Run, recipe: Preprocessing) -> list[TrainingSlice]:
    from napari_crii.io.pairs import scans_by_stem
    from napari_crii.training.folder import load_unlabelled

    if run.unlabelled is None:
        return []
    masked = scans_by_stem(run.labels).keys()
    with progress_bar("reading") as advance:
        data = load_unlabelled(
            run.unlabelled,
            recipe,
            run.groups,
            masked,
            lambda done, total: advance(done, total, ""),
        )
    return [item for item in data if item.patient not in run.without]


def leave_out(data: list[TrainingSlice], without: frozenset[str]) -> list[TrainingSlice]:
    """Return the slices of all other patients.

    Raises
    ------
    TrainingError
        If one of these patients has no slice, or nobody else has.
    """
    found = {item.patient for item in data}
    if absent := sorted(without - found):
        raise TrainingError(
            f"no scan with a mask is of patient {absent[0]}: there are {len(found)} patients, "
            f"such as {min(found)}"
        )
    kept = [item for item in data if item.patient not in without]
    if not kept:
        raise TrainingError(f"without {len(without)} patients nobody is left to learn from")
    return kept


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


def _report(run: _Run, saved: Checkpoint, loss: float) -> dict[str, Any]:
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
