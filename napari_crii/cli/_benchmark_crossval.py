"""``napari-crii benchmark crossval``: supervised training, tested patient by patient."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_crii.cli._output import JsonOption, note, progress_bar, write_json
from napari_crii.cli._training_options import (
    AdaptiveContrast,
    AssumedMm,
    Classes,
    Crop,
    Groups,
    Images,
    Iterations,
    Labels,
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
    recipe_of,
    say_what_is_left_out,
)
from napari_crii.cli._written import beside, write_image, write_text

if TYPE_CHECKING:
    from napari_crii.benchmark.crossval import CrossValidation

Folds = Annotated[int, typer.Option(min=2, help="How many times to train, on other patients.")]
Out = Annotated[
    Path,
    typer.Option(
        readable=False,
        metavar="FILE",
        help="Finished folds, *.jsonl: what is there is not computed again.",
    ),
]
Losses = Annotated[
    str,
    typer.Option(metavar="NAME", help="sup, faithful or plus: what is learnt from the masks."),
]


def crossval(
    images: Images,
    labels: Labels,
    groups: Groups,
    out: Out,
    classes: Classes = None,
    folds: Folds = 5,
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
    one_object: OneObject = False,
    preset: Losses = "sup",
    as_json: JsonOption = False,
) -> None:
    """Train and test by turns, patient by patient: Dice of every patient, by a stranger.

    A run that was stopped goes on at its last finished fold. Table and plot are also written
    beside the runs, as Markdown and PNG.
    """
    pages = beside(out)
    say_what_is_left_out(images, labels)
    names = class_names(classes)
    recipe = recipe_of(
        images,
        labels,
        RecipeChoice(
            neighbours, scope, not no_mirror, pixel_mm, assumed_mm, adaptive_contrast, one_object
        ),
    )
    from napari_crii.benchmark.crossval import CrossValidation
    from napari_crii.training import TrainingConfig
    from napari_crii.training.method import preset as preset_named

    training = TrainingConfig(
        iterations=iterations,
        crop=crop,
        mirror_axes=recipe.mirror_axes,
        mixed_precision=mixed_precision,
        turned=turned,
        method=preset_named(preset),
    )
    plan = CrossValidation(images, labels, groups, names, recipe, training, folds, seed)
    _report_folds(plan, out, pages, as_json)


def _report_folds(
    plan: CrossValidation, out: Path, pages: tuple[Path, Path], as_json: bool
) -> None:
    from napari_crii.benchmark.crossval import SCORES, cross_validate
    from napari_crii.benchmark.crossval_report import (
        report_page,
        report_plot,
        report_table,
        summary,
    )

    with progress_bar("learning") as advance:
        runs = cross_validate(plan, out, advance)
    table, plot = pages
    write_text(table, report_page(plan, runs))
    write_image(plot, report_plot(runs))
    summaries = {said: summary(runs, name) for name, said in SCORES.items()}
    if as_json:
        files = {"runs": str(out), "table": str(table), "plot": str(plot)}
        by_name = {said.replace(" ", "_"): found for said, found in summaries.items()}
        write_json({**files, **by_name, "folds": runs})
        return
    typer.echo(report_table(runs))
    for said, s in summaries.items():
        typer.echo(
            f"{said:<13} Dice {s['mean']:.3f} ± {s['spread']:.3f} over {s['patients']} patients, "
            f"worst {s['worst']:.3f} ({s['worst_patient']})"
        )
    note(f"Written: {out}, {table}, {plot}")
