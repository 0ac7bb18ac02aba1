"""``napari-crii train``: from a folder of scans and a folder of masks to a checkpoint."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_crii.cli._output import JsonOption, write_json
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
    say_what_is_left_out,
)
from napari_crii.cli._training_run import TrainingRun, run_training
from napari_crii.errors import TrainingError, WriteError

if TYPE_CHECKING:
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
    run = TrainingRun(
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
    report = run_training(run)
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
