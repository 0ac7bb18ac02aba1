"""What the study of ticks comes to: a Markdown table per start."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_crii.benchmark.dot_plot import Dots, dot_plot
from napari_crii.benchmark.ratios import interval_of
from napari_crii.benchmark.runs import Run
from napari_crii.benchmark.table import markdown_table
from napari_crii.benchmark.titles import CORRECTIONS

_RESAMPLES = 2000
_BELOW = (
    "Dice, mean over scans: on the slices of the corrected scan that are corrected in no round, "
    "and on other patients, after so many corrected slices. First tick: the mean change on the "
    "rest of the scan in Dice points with its 95 % interval (scans resampled), and the share of "
    "scans that it raises. plus - sup: the same corrections, on the rest, over all rounds."
)


def ticks_table(runs: Sequence[Run]) -> str:
    """Return a row per start, preset and place of testing, in Markdown."""
    counts = runs[0]["corrected"]
    head = ["start", "preset", "scans", "tested on", *map(str, counts), "first tick", "raised in"]
    rows = []
    for start, preset in dict.fromkeys((run["start"], run["preset"]) for run in runs):
        mine = [r for r in runs if (r["start"], r["preset"]) == (start, preset)]
        for place in ("rest", "others"):
            scores = np.array([run[place] for run in mine])
            gain = scores[:, 1] - scores[:, 0]
            rows.append(
                [
                    start,
                    preset,
                    str(len(mine)),
                    place,
                    *(f"{value:.3f}" for value in scores.mean(axis=0)),
                    _points(gain),
                    f"{100 * float((gain > 0).mean()):.0f} %",
                ]
            )
    return markdown_table(head, rows)


def presets_compared(runs: Sequence[Run]) -> list[str]:
    """Return a line per start: `plus` against `sup` on the same corrections."""
    lines = []
    for start in dict.fromkeys(run["start"] for run in runs):
        pairs = _pairs(runs, start)
        if len(pairs):
            lines.append(f"From {start}: plus - sup {_points(pairs)} Dice points.")
    return lines


def ticks_plot(runs: Sequence[Run]) -> Image.Image:
    """Return a plot: a line per start, preset and number of corrected slices, a dot per scan."""
    lines = []
    for start, preset in dict.fromkeys((run["start"], run["preset"]) for run in runs):
        mine = [r for r in runs if (r["start"], r["preset"]) == (start, preset)]
        for at, count in enumerate(mine[0]["corrected"]):
            values = [run["rest"][at] for run in mine]
            name = f"{start}, {preset}: {count}"
            lines.append(Dots(name, values, float(np.mean(values)), preset == "plus"))
    return dot_plot("Dice on the rest", lines)


def ticks_page(runs: Sequence[Run]) -> str:
    """Return a Markdown page with the table and what it means."""
    first = runs[0]
    title = f"{CORRECTIONS}{first['data']}"
    seeds = ", ".join(str(seed) for seed in sorted({run["seed"] for run in runs}))
    said = f"Seeds {seeds}; {first['settings']['scans']} scans each."
    return "\n".join(
        [title, "", said, "", ticks_table(runs), "", *presets_compared(runs), "", _BELOW, ""]
    )


def _pairs(runs: Sequence[Run], start: str) -> NDArray[np.float64]:
    """Return by how much `plus` is better on the rest, mean over the rounds, per scan."""
    by_preset: dict[str, dict[tuple[int, int], float]] = {"plus": {}, "sup": {}}
    for run in runs:
        if run["start"] == start and run["preset"] in by_preset:
            mean = float(np.mean(run["rest"][1:]))
            by_preset[run["preset"]][(run["seed"], run["scan"])] = mean
    plus, sup = by_preset["plus"], by_preset["sup"]
    return np.array([plus[key] - sup[key] for key in sorted(plus.keys() & sup.keys())])


def _points(change: NDArray[np.float64]) -> str:
    """Return the mean of changes (N,) in Dice points, with its interval."""
    drawn = np.random.default_rng(0).choice(change, (_RESAMPLES, len(change))).mean(axis=1)
    low, high = interval_of(drawn)
    return f"{100 * change.mean():+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"
