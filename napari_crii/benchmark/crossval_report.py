"""What a cross-validation comes to: Dice of every patient as a Markdown table, and its summary."""

from __future__ import annotations

import json

import numpy as np
from PIL import Image

from napari_crii.benchmark.crossval import SCORES, CrossValidation
from napari_crii.benchmark.dot_plot import Dots, dot_plot
from napari_crii.benchmark.runs import Run
from napari_crii.benchmark.table import markdown_table
from napari_crii.benchmark.titles import CROSS_VALIDATION

SUMMARISED = ("mean", "spread", "worst")


def summary(runs: list[Run], branch: str = "dice") -> dict[str, float | str]:
    """Return mean, standard deviation and worst over all patients of all folds.

    Parameters
    ----------
    branch
        One of `SCORES`.
    """
    patients = {p: d for run in runs for p, d in run[branch].items()}
    values = np.array(list(patients.values()))
    worst = min(patients, key=lambda p: patients[p])
    return {
        "patients": len(patients),
        "mean": round(float(values.mean()), 4),
        "spread": round(float(values.std(ddof=1)), 4),
        "worst": round(float(values.min()), 4),
        "worst_patient": worst,
    }


def report_table(runs: list[Run]) -> str:
    """Return, in Markdown, the Dice of every patient, with mean, spread and worst below."""
    rows = [
        [patient, str(run["fold"]), *(f"{run[name][patient]:.3f}" for name in SCORES)]
        for run in runs
        for patient in run["dice"]
    ]
    summaries = [summary(runs, name) for name in SCORES]
    below = [[line, "", *(f"{s[line]:.3f}" for s in summaries)] for line in SUMMARISED]
    return markdown_table(("patient", "fold", *SCORES.values()), sorted(rows) + below)


def report_plot(runs: list[Run]) -> Image.Image:
    """Return a plot of the Dice of whole patients: a line per fold, a dot per patient."""
    lines = []
    for run in runs:
        values = list(run["dice_whole"].values())
        lines.append(Dots(f"fold {run['fold']}", values, float(np.mean(values))))
    return dot_plot("whole patient", lines)


def report_page(plan: CrossValidation, runs: list[Run]) -> str:
    """Return a Markdown page: what was done, the table, what it sums up to."""
    slices, seconds = sum(run["slices"] for run in runs), sum(run["seconds"] for run in runs)
    said = plan.settings()
    refined, coarse = summary(runs), summary(runs, "dice_coarse")
    return "\n".join(
        [
            f"{CROSS_VALIDATION}{said['data']}: {', '.join(plan.classes)}",
            "",
            f"Made by `napari-crii benchmark crossval`: {refined['patients']} patients, {slices} "
            f"slices, {plan.folds} folds dealt by patient with seed {plan.seed}, "
            f"{plan.training.iterations} iterations each, {seconds:.0f} s in all. A patient's "
            "Dice is the mean over slices and classes; over the whole patient, that of all slices "
            "as one mask. Spread is the standard deviation over patients.",
            "",
            f"Preprocessing: `{json.dumps(said['recipe'])}`",
            "",
            f"Training: `{json.dumps(said['training'])}`",
            "",
            f"Worst patient: {refined['worst_patient']} (refined), {coarse['worst_patient']} "
            "(coarse).",
            "",
            report_table(runs),
            "",
        ]
    )
