"""``napari-crii benchmark errors``: which doubt finds the errors."""

from __future__ import annotations

from typing import Annotated

import typer

from napari_crii.cli._benchmark_ssl import (
    BatchSize,
    Draws,
    FoldCount,
    OneObject,
    Out,
    Share,
    Size,
    WhichFolds,
    folds_in,
    numbers_in,
)
from napari_crii.cli._output import JsonOption, note, progress_bar, write_json
from napari_crii.cli._training_options import (
    Classes,
    Images,
    Iterations,
    Labels,
    MaybeGroups,
    MixedPrecision,
    NoMirror,
    RecipeChoice,
    Scope,
    class_names,
    recipe_of,
    say_what_is_left_out,
)
from napari_crii.errors import WriteError

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
    no_mirror: NoMirror = False,
    as_json: JsonOption = False,
) -> None:
    """Train three networks per fold and compare every score as a detector of their errors.

    On test patients, on the pool seen without labels, and on a shifted copy. A stopped run goes
    on at its last finished fold; the tables are written beside the runs, as Markdown.
    """
    from napari_crii.cli._folders import require_writable

    table = out.with_suffix(".md")
    if table == out:
        raise WriteError(f"{out} is the name of the table: name the runs otherwise, *.jsonl")
    require_writable(out.parent)
    say_what_is_left_out(images, labels)
    recipe = recipe_of(images, labels, RecipeChoice(0, Scope.SLICE, not no_mirror, None, None))
    from napari_crii.benchmark.errors import compare_scores, errors_page, errors_table
    from napari_crii.benchmark.ssl import Comparison
    from napari_crii.cli._written import write_text
    from napari_crii.training import TrainingConfig

    training = TrainingConfig(
        iterations=iterations, batch=batch, crop=size, mirror_axes=recipe.mirror_axes,
        mixed_precision=mixed_precision, centred=True,
    )  # fmt: skip
    plan = Comparison(
        images, labels, groups, class_names(classes), recipe, training, (method,), labelled,
        numbers_in(draws, "seeds"), folds_in(folds, fold_count), fold_count, one_object,
    )  # fmt: skip
    with progress_bar("learning") as advance:
        runs = compare_scores(plan, out, advance)
    write_text(table, errors_page(runs))
    if as_json:
        write_json({"runs": str(out), "table": str(table), "found": runs})
        return
    typer.echo(errors_table(runs))
    note(f"Written: {out}, {table}")
