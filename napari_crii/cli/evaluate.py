"""``napari-crii evaluate``: predicted masks against masks that are taken as true."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_crii.cli._output import JsonOption, note, progress_bar, write_json
from napari_crii.errors import GeometryError, ScanError

if TYPE_CHECKING:
    from napari_crii.metrics import Scores

Predictions = Annotated[
    Path,
    typer.Option(
        readable=False, metavar="DIR", help="Folder of masks NAME or NAME_mask; others are ignored."
    ),
]
Labels = Annotated[
    Path, typer.Option(readable=False, metavar="DIR", help="Folder of true masks, NAME.")
]


@dataclass(frozen=True)
class Case:
    """One pair of masks.

    Attributes
    ----------
    unit
        Of HD95: ``"mm"``, or ``"px"`` for images without a size.
    scores
        Class to its scores; classes that neither mask holds have none.
    """

    name: str
    unit: str
    scores: dict[int, Scores]


def evaluate(predictions: Predictions, labels: Labels, as_json: JsonOption = False) -> None:
    """Score masks: Dice, surface Dice at 2 mm (2 px for images) and HD95, for each class.

    A class is scored in the cases where one of the two masks holds it, and its mean is taken
    over these. HD95 is infinite (null in JSON) where only one mask holds it; the mean of HD95
    leaves these out and says how many.
    """
    from napari_crii.io.pairs import some_names

    pairs, missing = pair_predictions(predictions, labels)
    if missing:
        note(f"Not scored, masks without a prediction: {len(missing)} ({some_names(missing)})")
    cases = _score_all(pairs)
    if len({case.unit for case in cases}) > 1:
        raise GeometryError("some masks count in mm, others in pixels: score them separately")
    if as_json:
        write_json(_report(cases, missing))
    else:
        typer.echo(_table(cases))


def pair_predictions(
    predictions: Path, labels: Path
) -> tuple[list[tuple[str, Path, Path]], list[Path]]:
    """Return (name, prediction, label) for every label that has one, and the labels without.

    Raises
    ------
    ScanError
        If a folder cannot be listed, names are ambiguous, or nothing pairs.
    """
    from napari_crii.io.pairs import scans_by_stem

    predicted, true = scans_by_stem(predictions), scans_by_stem(labels)
    pairs, missing = [], []
    for name, label in sorted(true.items()):
        found = [predicted[stem] for stem in (name, f"{name}_mask") if stem in predicted]
        if len(found) > 1:
            raise ScanError(f"{found[0]} and {found[1].name} both are predictions of {label.name}")
        if found:
            pairs.append((name, found[0], label))
        else:
            missing.append(label)
    if not pairs:
        raise ScanError(
            f"no mask in {predictions} is named like one in {labels}: a prediction of "
            f"NAME is called NAME or NAME_mask"
        )
    return pairs, missing


def score(name: str, prediction: Path, label: Path) -> Case:
    """Score one pair.

    Raises
    ------
    ScanError
        If a file cannot be read.
    GeometryError
        If the two grids differ.
    """
    import numpy as np

    from napari_crii import metrics
    from napari_crii.io import read_mask

    (ours, grid), (theirs, true_grid) = read_mask(prediction), read_mask(label)
    if ours.shape != theirs.shape:
        raise GeometryError(f"{prediction} has {ours.shape} voxels, but {label} {theirs.shape}")
    images = "px" in (grid.unit, true_grid.unit)
    if not images and not grid.coincides(true_grid, theirs.shape):
        distance = grid.corner_distance(true_grid, theirs.shape)
        raise GeometryError(f"{prediction} lies up to {distance:.3g} mm away from {label}")
    # A single slice is scored as the image it is: in 3-D all of it would be surface.
    thick = [axis for axis in range(3) if theirs.shape[axis] > 1]
    known = grid if true_grid.unit == "px" else true_grid
    found = np.union1d(np.unique(ours), np.unique(theirs))
    scores = metrics.evaluate(
        ours.squeeze(),
        theirs.squeeze(),
        [known.spacing[axis] for axis in thick],
        [int(label) for label in found if label],
    )
    return Case(name, known.unit, scores)


def means(cases: Sequence[Case]) -> dict[int, dict[str, Any]]:
    """Return, per class, the mean scores, over how many cases, and how many HD95 are infinite."""
    labels = sorted({label for case in cases for label in case.scores})
    return {label: _mean([c.scores[label] for c in cases if label in c.scores]) for label in labels}


def _mean(scores: Sequence[Scores]) -> dict[str, Any]:
    finite = [s.hd95 for s in scores if math.isfinite(s.hd95)]
    return {
        "dice": sum(s.dice for s in scores) / len(scores),
        "nsd": sum(s.nsd for s in scores) / len(scores),
        "hd95": sum(finite) / len(finite) if finite else None,
        "cases": len(scores),
        "hd95_infinite": len(scores) - len(finite),
    }


def _score_all(pairs: Sequence[tuple[str, Path, Path]]) -> list[Case]:
    cases = []
    with progress_bar("scoring") as advance:
        for done, pair in enumerate(pairs, start=1):
            cases.append(score(*pair))
            advance(done, len(pairs), "")
    return cases


def _report(cases: Sequence[Case], missing: Sequence[Path]) -> dict[str, Any]:
    from napari_crii.metrics import DEFAULT_TOLERANCE_MM

    return {
        "unit": cases[0].unit,
        "nsd_tolerance": DEFAULT_TOLERANCE_MM,
        "mean": {str(label): mean for label, mean in means(cases).items()},
        "cases": [
            {"case": c.name, "classes": {str(k): _scores(s) for k, s in c.scores.items()}}
            for c in cases
        ],
        "labels_without_prediction": [path.name for path in missing],
    }


def _scores(scores: Scores) -> dict[str, float | None]:
    distance = scores.hd95 if math.isfinite(scores.hd95) else None
    return {"dice": scores.dice, "nsd": scores.nsd, "hd95": distance}


def _table(cases: Sequence[Case]) -> str:
    """Return a line per case and class, and the means."""
    width = max(4, *(len(case.name) for case in cases))
    lines = [f"{'case':<{width}}  class   Dice    NSD   HD95 ({cases[0].unit})"]
    for case in cases:
        if not case.scores:
            lines.append(f"{case.name:<{width}}  both masks are empty")
        for label, s in case.scores.items():
            lines.append(_line(case.name, width, label, (s.dice, s.nsd, s.hd95)))
    for label, mean in means(cases).items():
        distance = math.inf if mean["hd95"] is None else mean["hd95"]
        line = _line("mean", width, label, (mean["dice"], mean["nsd"], distance))
        infinite = mean["hd95_infinite"]
        lines.append(line + (f"  ({infinite} infinite left out)" if infinite else ""))
    return "\n".join(lines)


def _line(name: str, width: int, label: int, values: tuple[float, float, float]) -> str:
    dice, nsd, hd95 = values
    return f"{name:<{width}}  {label:>5}  {dice:.3f}  {nsd:.3f}  {hd95:>6.2f}"
