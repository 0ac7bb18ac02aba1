"""What a comparison with few labels comes to: a Markdown table and a plot."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from napari_crii.benchmark.dot_plot import Dots, dot_plot
from napari_crii.benchmark.paired import by_draw, difference_cell, resampled_mean
from napari_crii.benchmark.runs import Run
from napari_crii.benchmark.ssl import BUDGETS
from napari_crii.benchmark.table import markdown_table
from napari_crii.benchmark.titles import FEW_LABELS

OURS = "plus"
_HEAD = (
    "method", "runs", "Dice", "95 %", "spread", "at 50 %", "at 25 %", "low contrast", "boundary",
    "NSD 1", "NSD 2", "HD95", "plus - method", "s per step", "MB",
)  # fmt: skip
_BELOW = (
    "Dice: mean over patients of all draws, with a 95 % interval that resamples patients within "
    "draws; spread: standard deviation over draws. Surface measures in pixels. plus - method: "
    "paired by patient and draw, with such an interval. s per step: processor seconds."
)
_PATIENT_MEASURES = {
    "patients": "Dice", "patients_hard_dice": "low contrast", "patients_nsd1": "NSD 1",
}  # fmt: skip
_BELOW_MARGINS = (
    "Paired by patient and draw, means over patients; the 95 % intervals resample patients within "
    "draws. Low contrast: patients with an object among the third that stands out least."
)


def scored_at(runs: Sequence[Run], budget: float) -> dict[str, list[Run]]:
    """Return the runs of one budget by method, in the order of first appearance."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        if run["budget"] == budget:
            found.setdefault(run["method"], []).append(run)
    return found


def ssl_table(runs: Sequence[Run]) -> str:
    """Return a row per method, in Markdown."""
    by_budget = {budget: scored_at(runs, budget) for budget in BUDGETS}
    final = by_budget[1.0]
    rows = []
    for name, of_method in final.items():
        early = [_mean(by_budget[b].get(name, []), "dice") for b in (0.5, 0.25)]
        measures = [
            f"{_mean(of_method, field):.3f}"
            for field in ("hard_dice", "boundary_dice", "nsd1", "nsd2")
        ]
        memory = [run["peak_mb"] for run in of_method if run["peak_mb"] is not None]
        rows.append(
            [
                name,
                str(len(of_method)),
                f"{_mean(of_method, 'dice'):.3f}",
                "{1:.3f} to {2:.3f}".format(*dice_interval(of_method)),
                _spread(of_method),
                *(f"{value:.3f}" for value in early),
                *measures,
                f"{_mean(of_method, 'hd95'):.1f}",
                difference_cell(final.get(OURS, []), of_method) if name != OURS else "",
                f"{_mean(of_method, 'seconds_per_iteration'):.2f}",
                f"{max(memory):.0f}" if memory else "",
            ]
        )
    return markdown_table(_HEAD, rows)


def margins_table(runs: Sequence[Run]) -> str:
    """Return `plus` minus each method, by three measures of each patient, in Markdown.

    Empty where the runs do not hold them, or without `plus`.
    """
    final = {
        name: of_method
        for name, of_method in scored_at(runs, 1.0).items()
        if all(field in run for run in of_method for field in _PATIENT_MEASURES)
    }
    ours = final.pop(OURS, [])
    rows = [
        [name, *(difference_cell(ours, of_method, field) for field in _PATIENT_MEASURES)]
        for name, of_method in final.items()
    ]
    return markdown_table(("plus - method", *_PATIENT_MEASURES.values()), rows) if ours else ""


def ssl_page(runs: Sequence[Run]) -> str:
    """Return a Markdown page with the table and what it means."""
    first = runs[0]
    said = (
        f"{first['iterations']} iterations of {first['settings']['training']['batch']} labelled "
        f"crops, {100 * first['labelled']:g} % of the training patients labelled, draws "
        f"{_listed(runs, 'draw')}, folds {_listed(runs, 'fold')} of "
        f"{first['settings']['fold_count']}."
    )
    title = f"{FEW_LABELS}{first['data']}: {', '.join(first['settings']['classes'])}"
    margins = margins_table(runs)
    more = [margins, "", _BELOW_MARGINS, ""] if margins else []
    return "\n".join([title, "", said, "", ssl_table(runs), "", _BELOW, "", *more])


def dice_interval(runs: Sequence[Run], seed: int = 0) -> tuple[float, float, float]:
    """Return the mean Dice and its 95 % interval; patients are resampled within draws."""
    return resampled_mean([np.array(list(p.values())) for p in by_draw(runs).values()], seed)


def ssl_plot(runs: Sequence[Run]) -> Image.Image:
    """Return a plot: a line per method, a dot per draw, a bar at the mean."""
    lines = [
        Dots(name, _draw_means(of_method), _mean(of_method, "dice"), name == OURS)
        for name, of_method in scored_at(runs, 1.0).items()
    ]
    return dot_plot("Dice", lines)


def _draw_means(runs: Sequence[Run]) -> list[float]:
    return [float(np.mean(list(patients.values()))) for patients in by_draw(runs).values()]


def _spread(runs: Sequence[Run]) -> str:
    means = _draw_means(runs)
    return f"{np.std(means, ddof=1):.3f}" if len(means) > 1 else ""


def _mean(runs: Sequence[Run], field: str) -> float:
    """Return the mean of a field; folds weigh by their patients."""
    if not runs:
        return float("nan")
    weights = [len(run["patients"]) for run in runs]
    return float(np.average([run[field] for run in runs], weights=weights))


def _listed(runs: Sequence[Run], field: str) -> str:
    return ", ".join(str(value) for value in sorted({run[field] for run in runs}))
