"""``napari-crii benchmark ssl``: few labels, methods side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_crii.cli._output import JsonOption, note, progress_bar, write_json
from napari_crii.cli._training_options import (
    AssumedMm,
    Classes,
    Images,
    Iterations,
    Labels,
    MaybeGroups,
    MixedPrecision,
    NoMirror,
    PixelMm,
    RecipeChoice,
    Scope,
    ScopeOption,
    class_names,
    names_in,
    recipe_of,
    say_what_is_left_out,
)
from napari_crii.errors import CriiError, WriteError

if TYPE_CHECKING:
    from PIL import Image

    from napari_crii.benchmark.ssl import Comparison

_METHODS = (
    "mean_shape,supervised_weak,supervised_strong,copy_paste,mean_teacher,uamt,cps,urpc,mcnet,bcp,"
    "unimatch,full,faithful,plus"
)

Share = Annotated[float, typer.Option(help="Share of the training patients that are labelled.")]
Methods = Annotated[str, typer.Option(metavar="NAME,NAME", help="Which methods, in this order.")]
Draws = Annotated[
    str, typer.Option("--seeds", metavar="N,N", help="Draws of who is labelled, each a number.")
]
WhichFolds = Annotated[
    str | None, typer.Option(metavar="N,N", help="Which folds to test; without it, all.")
]
FoldCount = Annotated[int, typer.Option(min=2, help="To how many folds patients are dealt.")]
Size = Annotated[
    int, typer.Option(min=16, help="Side of the central field of view, a multiple of 16 pixels.")
]
BatchSize = Annotated[int, typer.Option(min=2, help="Labelled crops per step.")]
OneObject = Annotated[
    bool,
    typer.Option(
        "--one-object", help="Each class is one connected object; pseudo-labels may use it."
    ),
]
Out = Annotated[
    Path,
    typer.Option(
        readable=False,
        metavar="FILE",
        help="Finished runs, *.jsonl: what is there is not computed again.",
    ),
]


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
    from napari_crii.cli._folders import require_writable

    if out.suffix.lower() in {".md", ".png"}:
        raise WriteError(f"{out} is the name of table or plot: name the runs otherwise, *.jsonl")
    require_writable(out.parent)
    say_what_is_left_out(images, labels)
    names = class_names(classes)
    choice = RecipeChoice(0, scope, not no_mirror, pixel_mm, assumed_mm)
    recipe = recipe_of(images, labels, choice)
    from napari_crii.benchmark.ssl import Comparison
    from napari_crii.training import TrainingConfig

    training = TrainingConfig(
        iterations=iterations,
        batch=batch,
        crop=size,
        mirror_axes=recipe.mirror_axes,
        mixed_precision=mixed_precision,
        centred=True,
    )
    plan = Comparison(
        images, labels, groups, names, recipe, training, names_in(methods, "methods"),
        labelled, numbers_in(draws, "seeds"), folds_in(folds, fold_count), fold_count, one_object,
    )  # fmt: skip
    _report(plan, out, as_json)


def numbers_in(text: str, kind: str) -> tuple[int, ...]:
    """Split whole numbers at their commas.

    Raises
    ------
    CriiError
        If one is none.
    """
    names = names_in(text, kind)
    if not all(name.isdecimal() for name in names):
        raise CriiError(f"the {kind} '{text}' are not whole numbers with commas between them")
    return tuple(int(name) for name in names)


def folds_in(text: str | None, count: int) -> tuple[int, ...]:
    """Return which folds are asked for, all of them without a text; errors as `numbers_in`."""
    return tuple(range(count)) if text is None else numbers_in(text, "folds")


def _report(plan: Comparison, out: Path, as_json: bool) -> None:
    from napari_crii.benchmark.ssl import compare
    from napari_crii.benchmark.ssl_report import ssl_page, ssl_plot, ssl_table
    from napari_crii.cli._written import write_text

    with progress_bar("learning") as advance:
        runs = compare(plan, out, advance)
    table, plot = out.with_suffix(".md"), out.with_suffix(".png")
    write_text(table, ssl_page(runs))
    _write_image(plot, ssl_plot(runs))
    if as_json:
        write_json({"runs": str(out), "table": str(table), "plot": str(plot), "found": runs})
        return
    typer.echo(ssl_table(runs))
    note(f"Written: {out}, {table}, {plot}")


def _write_image(path: Path, image: Image.Image) -> None:
    from PIL import Image as Reader

    from napari_crii.io.atomic import atomic_write

    def verify(beside: Path) -> None:
        with Reader.open(beside) as written:
            if written.tobytes() != image.tobytes():
                raise WriteError("it reads differently from what was written")

    atomic_write(path, lambda beside: image.save(beside, format="PNG"), verify)
