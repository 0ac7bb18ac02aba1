"""The tables of the comparison of scores as detectors of errors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from napari_crii.benchmark.dot_plot import Dots, dot_plot
from napari_crii.benchmark.error_lines import CASE
from napari_crii.benchmark.paired import difference_cell
from napari_crii.benchmark.runs import Run
from napari_crii.benchmark.table import markdown_table
from napari_crii.benchmark.titles import ERRORS

_PIXEL_COLUMNS = {
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "ause": "AUSE",
    "captured5": "top 5 %",
    "captured_patches": "10 patches",
    "ece": "ECE",
}
_CASE_COLUMNS = {"aurc": "AURC", "spearman": "Spearman"}
# What is to find more than what, at the same price or a lower one.
_RIVALS = (("expected_error", "entropy"), ("expected_error_shifts", "ensemble"))
_PATIENT_COLUMNS = {"patients_ause": "AUSE", "patients_captured5": "top 5 %"}
_BELOW_MARGINS = (
    "Measured among the pixels of each patient, paired by patient and draw, means over patients; "
    "the 95 % intervals resample patients within draws. AUSE: less is better."
)


def errors_table(runs: Sequence[Run], part: str = "test", region: str = "whole") -> str:
    """Return a row per score, means over draws and folds, in Markdown."""
    here = [run for run in runs if (run["set"], run["region"]) == (part, region)]
    columns = _CASE_COLUMNS if region == CASE else _PIXEL_COLUMNS
    rows = []
    for name in dict.fromkeys(run["score"] for run in here):
        lines = [run for run in here if run["score"] == name]
        values = [[v for run in lines if (v := run[field]) is not None] for field in columns]
        cells = (f"{np.mean(v):.3f}" if v else "" for v in values)
        rows.append([name, str(lines[0]["passes"]), *cells])
    return markdown_table(("score", "passes", *columns.values()), rows)


def errors_margins(runs: Sequence[Run]) -> str:
    """Return what `expected_error` is ahead of its rivals by, in Markdown.

    Empty where the runs do not hold the measures of each patient.
    """
    held = [run for run in runs if all(run.get(field) for field in _PATIENT_COLUMNS)]
    rows = []
    for region in dict.fromkeys(run["region"] for run in held):
        for ours, theirs in _RIVALS:
            mine, other = (
                [run for run in held if (run["region"], run["score"]) == (region, score)]
                for score in (ours, theirs)
            )
            cells = [difference_cell(mine, other, field) for field in _PATIENT_COLUMNS]
            rows += [[f"{ours} - {theirs}", region, *cells]] if any(cells) else []
    head = ("difference", "region", *_PATIENT_COLUMNS.values())
    return markdown_table(head, rows) if rows else ""


def errors_plot(runs: Sequence[Run]) -> Image.Image:
    """Return a plot of the errors that each score captures in 5 % of the pixels, a dot per run."""
    here = [run for run in runs if (run["set"], run["region"]) == ("test", "whole")]
    lines = []
    for name in dict.fromkeys(run["score"] for run in here):
        values = [r["captured5"] for r in here if r["score"] == name and r["captured5"] is not None]
        mean = float(np.mean(values)) if values else 0.0
        lines.append(Dots(name, values, mean, name == "expected_error"))
    return dot_plot("errors in 5 %", lines)


def errors_page(runs: Sequence[Run]) -> str:
    """Return a Markdown page with a table per set and region, and the scores of whole slices."""
    first = runs[0]
    draws = {(run["draw"], run["fold"]) for run in runs}
    lines = [
        ERRORS,
        "",
        f"Networks trained by `{first['method']}`, {first['iterations']} iterations, "
        f"{100 * first['labelled']:g} % of the training patients labelled, {len(draws)} folds and "
        "draws. `expected_error` is calibrated on up to eight corrected slices of the pool, "
        "`expected_error_after_N` on N. beyond2 leaves out the errors within 2 pixels of the true "
        "edge; case: scores of whole slices.",
    ]
    margins = errors_margins(runs)
    lines += ["", "## Differences", "", margins, "", _BELOW_MARGINS] if margins else []
    for part, region in dict.fromkeys((run["set"], run["region"]) for run in runs):
        lines += ["", f"## {part}, {region}", "", errors_table(runs, part, region)]
    return "\n".join([*lines, ""])
