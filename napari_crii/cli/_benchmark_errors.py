"""``napari-crii benchmark errors``: which doubt finds the errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from napari_crii.cli._comparison_options import (
    BatchSize,
    ComparisonChoice,
    Draws,
    FoldCount,
    Iterations,
    OneObject,
    Out,
    Share,
    Size,
    WhichFolds,
    comparison_of,
)
from napari_crii.cli._output import JsonOption, note, progress_bar, write_json
from napari_crii.cli._training_options import (
    AssumedMm,
    Classes,
    Images,
    Labels,
    MaybeGroups,
    MixedPrecision,
    NoMirror,
    PixelMm,
    RecipeChoice,
    Scope,
    ScopeOption,
)
from napari_crii.cli._written import beside, write_image, write_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_crii.benchmark.runs import Run

MethodName = Annotated[str, typer.Option(help="Which of our methods trains the networks.")]


def errors(
    images: Images,
    labels: Labels,
    out: Out,
    groups: MaybeGroups = None,
    classes: Classes = None,
    method: MethodName = "plus",
    labelled: Share = 0.04,
    draws: Draws = "0",
    folds: WhichFolds = None,
    fold_count: FoldCount = 5,
    iterations: Iterations = 1200,
    size: Size = 128,
    batch: BatchSize = 8,
    mixed_precision: MixedPrecision = False,
    one_object: OneObject = False,
    scope: ScopeOption = Scope.SLICE,
    no_mirror: NoMirror = False,
    pixel_mm: PixelMm = None,
    assumed_mm: AssumedMm = None,
    as_json: JsonOption = False,
) -> None:
    """Train three networks per fold and compare every score as a detector of their errors.

    On test patients, on the pool seen without labels, and on a shifted copy. A stopped run goes
    on at its last finished fold; tables and a plot are written beside the runs.
    """
    table, plot = beside(out)
    choice = ComparisonChoice(
        images=images,
        labels=labels,
        groups=groups,
        classes=classes,
        labelled=labelled,
        draws=draws,
        folds=folds,
        fold_count=fold_count,
        iterations=iterations,
        size=size,
        batch=batch,
        mixed_precision=mixed_precision,
        one_object=one_object,
        recipe=RecipeChoice(0, scope, not no_mirror, pixel_mm, assumed_mm),
    )
    plan = comparison_of(choice, (method,))
    from napari_crii.benchmark.errors import compare_scores
    from napari_crii.benchmark.errors_report import errors_page, errors_plot, errors_table

    with progress_bar("learning") as advance:
        runs = compare_scores(plan, out, advance)
    _say_whose_pool_is_not_judged(runs)
    write_text(table, errors_page(runs))
    write_image(plot, errors_plot(runs))
    if as_json:
        write_json({"runs": str(out), "table": str(table), "plot": str(plot), "found": runs})
        return
    typer.echo(errors_table(runs))
    note(f"Written: {out}, {table}, {plot}")


def _say_whose_pool_is_not_judged(runs: Sequence[Run]) -> None:
    from napari_crii.benchmark.errors import CORRECTED

    every = {(run["draw"], run["fold"]) for run in runs}
    judged = {(run["draw"], run["fold"]) for run in runs if run["set"] == "pool"}
    if small := sorted(every - judged):
        where = "; ".join(f"draw {draw}, fold {fold}" for draw, fold in small)
        note(
            f"Not judged on the pool of unlabelled patients, whose first {CORRECTED[-1]} slices "
            f"calibrate, as it holds no more: {where}"
        )
