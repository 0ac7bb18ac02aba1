"""``napari-crii benchmark ssl``: few labels, methods side by side."""

from __future__ import annotations

from pathlib import Path
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
    names_in,
)
from napari_crii.cli._written import beside, write_image, write_text

if TYPE_CHECKING:
    from napari_crii.benchmark.ssl import Comparison

_METHODS = (
    "mean_shape,supervised_weak,supervised_strong,copy_paste,mean_teacher,uamt,cps,urpc,mcnet,bcp,"
    "unimatch,full,faithful,plus"
)

Methods = Annotated[str, typer.Option(metavar="NAME,NAME", help="Which methods, in this order.")]


def ssl(
    images: Images,
    labels: Labels,
    out: Out,
    groups: MaybeGroups = None,
    classes: Classes = None,
    labelled: Share = 0.04,
    methods: Methods = _METHODS,
    draws: Draws = "0,1,2",
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
    """Compare semi-supervised methods where few patients are labelled.

    A stopped comparison goes on at its last finished run. Table and plot are written beside
    the runs, as Markdown and PNG.
    """
    pages = beside(out)
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
    plan = comparison_of(choice, names_in(methods, "methods"))
    _report(plan, out, pages, as_json)


def _report(plan: Comparison, out: Path, pages: tuple[Path, Path], as_json: bool) -> None:
    from napari_crii.benchmark.ssl import compare
    from napari_crii.benchmark.ssl_report import ssl_page, ssl_plot, ssl_table

    with progress_bar("learning") as advance:
        runs = compare(plan, out, advance)
    table, plot = pages
    write_text(table, ssl_page(runs))
    write_image(plot, ssl_plot(runs))
    if as_json:
        write_json({"runs": str(out), "table": str(table), "plot": str(plot), "found": runs})
        return
    typer.echo(ssl_table(runs))
    note(f"Written: {out}, {table}, {plot}")
