"""What commands with few labels have in common: options, and the comparison they ask for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_crii.cli._training_options import (
    LARGEST_SEED,
    RecipeChoice,
    class_names,
    names_in,
    recipe_of,
    say_what_is_left_out,
)
from napari_crii.errors import CriiError

if TYPE_CHECKING:
    from napari_crii.benchmark.ssl import Comparison

Share = Annotated[float, typer.Option(help="Share of the training patients that are labelled.")]
Draws = Annotated[
    str, typer.Option("--seeds", metavar="N,N", help="Draws of who is labelled, each a number.")
]
WhichFolds = Annotated[
    str | None, typer.Option(metavar="N,N", help="Which folds to test; without it, all.")
]
FoldCount = Annotated[
    int, typer.Option(min=2, max=10_000, help="To how many folds patients are dealt.")
]
Size = Annotated[
    int, typer.Option(min=16, help="Side of the central field of view, a multiple of 16 pixels.")
]
Iterations = Annotated[int, typer.Option(min=1, help="Steps of --batch labelled crops.")]
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


@dataclass(frozen=True)
class ComparisonChoice:
    """What the user decides about a comparison; fields as in `Comparison`.

    Attributes
    ----------
    classes, draws, folds
        As typed, with commas; without `classes` there is one, without `folds` it is all of them.
    iterations, size, batch, mixed_precision
        Settings of every training run; `size` is the side of the field of view in pixels.
    recipe
        What is decided about preprocessing.
    """

    images: Path
    labels: Path
    groups: Path | None
    classes: str | None
    labelled: float
    draws: str
    folds: str | None
    fold_count: int
    iterations: int
    size: int
    batch: int
    mixed_precision: bool
    one_object: bool
    recipe: RecipeChoice


def comparison_of(choice: ComparisonChoice, methods: tuple[str, ...]) -> Comparison:
    """Name what is left out, and return the comparison of these methods.

    Raises
    ------
    CriiError
        If folders cannot be paired, or a choice makes no sense.
    """
    say_what_is_left_out(choice.images, choice.labels)
    names = class_names(choice.classes)
    recipe = recipe_of(choice.images, choice.labels, choice.recipe)
    from napari_crii.benchmark.ssl import Comparison
    from napari_crii.training import TrainingConfig

    training = TrainingConfig(
        iterations=choice.iterations,
        batch=choice.batch,
        crop=choice.size,
        mirror_axes=recipe.mirror_axes,
        mixed_precision=choice.mixed_precision,
        centred=True,
    )
    return Comparison(
        images=choice.images,
        labels=choice.labels,
        groups=choice.groups,
        classes=names,
        recipe=recipe,
        training=training,
        methods=methods,
        labelled=choice.labelled,
        draws=numbers_in(choice.draws, "seeds"),
        folds=folds_in(choice.folds, choice.fold_count),
        fold_count=choice.fold_count,
        largest_component=choice.one_object,
    )


def numbers_in(text: str, kind: str) -> tuple[int, ...]:
    """Split whole numbers, none below 0 or above `LARGEST_SEED`, at their commas.

    Raises
    ------
    CriiError
        If one is none, too large, or there twice.
    """
    names = names_in(text, kind)
    # Python reads no number of thousands of digits.
    if not all(name.isdecimal() and len(name) <= len(str(LARGEST_SEED)) for name in names):
        raise _no_numbers(text, kind)
    numbers = tuple(int(name) for name in names)
    if max(numbers) > LARGEST_SEED or len(set(numbers)) < len(numbers):
        raise _no_numbers(text, kind)
    return numbers


def _no_numbers(text: str, kind: str) -> CriiError:
    return CriiError(
        f"the {kind} '{text}' are not different whole numbers from 0 to {LARGEST_SEED} with "
        "commas between them"
    )


def folds_in(text: str | None, count: int) -> tuple[int, ...]:
    """Return which folds are asked for, all of them without a text; errors as `numbers_in`."""
    return tuple(range(count)) if text is None else numbers_in(text, "folds")
