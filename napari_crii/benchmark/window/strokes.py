"""What a brush stroke costs the window's thread, over the same stroke on a bare napari layer.

Strokes on the two layers of a `Desk` alternate.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_crii.benchmark.ratios import interval_of
from napari_crii.benchmark.window.desk import Desk, Stroke
from napari_crii.benchmark.window.event_loop import qt_in_use
from napari_crii.errors import CriiError
from napari_crii.volume import Volume

SHAPE = (300, 512, 512)
STROKES_A_ROUND = 5
_STROKES_A_SLICE = 5
_MOVES = 12
_RESAMPLED = 2000

Told = Callable[[int, int], None]
Kinds = Mapping[str, Mapping[str, float]]


def stroke_latency(
    volume: Volume | None = None,
    rounds: int = 20,
    told: Told = lambda done, total: None,
) -> dict[str, Any]:
    """Draw the same strokes on a bare labels layer and on the human mask, by turns.

    Counted is what the window's thread spends from the press of the mouse on until everything that
    the stroke set off is over, the acknowledgement from the disk included; waiting and painting the
    canvas are not. Every fifth stroke is the first one on its slice and hands the proposal over to
    the human, on three layers; those are told apart.

    Parameters
    ----------
    volume
        The scan; without it noise of 300 slices of 512 x 512.
    rounds
        Of five strokes on each of the two layers.

    Returns
    -------
    dict
        ``stroke_p95_ms``, ``bare_stroke_p95_ms`` and their difference ``stroke_extra_ms`` with its
        95 % interval ``stroke_extra_interval_ms``, pairs of strokes resampled;
        ``stroke_extra_median_ms``, the median of what the one takes more than the other on the same
        path;
        ``stroke_extra_handled_ms``, of the handling of the stroke's mouse events alone, which is
        what keeps the brush behind the hand; ``first_stroke_…``, the same of first strokes;
        ``acknowledged_…``, from when the button goes up until the stroke is on the disk and read
        back;
        ``strokes``, each kind in more figures, with what the thread itself computed
        (``…_cpu_ms``).

    Raises
    ------
    CriiError
        If the assistant does not get ready, or a stroke leaves nothing.
    """
    scan = _noise() if volume is None else volume
    with tempfile.TemporaryDirectory(prefix="napari-crii-") as folder:
        desk = Desk(scan, Path(folder, "project"))
        with closing(desk):
            spent, waited = _alternate(desk, scan.slice_count, rounds * STROKES_A_ROUND, told)
    found = _by_kind(spent)
    wall = {name: np.array(strokes)[:, 0][~_is_first(strokes)] for name, strokes in spent.items()}
    low, high = _p95_extra(wall["ours"], wall["bare"])
    return {
        "stroke_p95_ms": found["ours"]["p95_ms"],
        "bare_stroke_p95_ms": found["bare"]["p95_ms"],
        "stroke_extra_ms": _extra(found, "p95_ms"),
        "stroke_extra_interval_ms": [round(low * 1000, 3), round(high * 1000, 3)],
        "stroke_extra_median_ms": round(float(np.median(wall["ours"] - wall["bare"])) * 1000, 3),
        "stroke_extra_handled_ms": _extra(found, "p95_handled_ms"),
        "first_stroke_extra_ms": _extra(found, "p95_ms", ", first"),
        "first_stroke_extra_handled_ms": _extra(found, "p95_handled_ms", ", first"),
        "acknowledged_median_ms": round(float(np.median(waited)) * 1000, 1),
        "acknowledged_longest_ms": round(max(waited) * 1000, 1),
        "strokes": found,
        "layer": [scan.slice_count, *scan.slices().shape[1:3]],
        "qt": qt_in_use(),
    }


def _extra(found: Kinds, figure: str, kind: str = "") -> float:
    return round(found[f"ours{kind}"][figure] - found[f"bare{kind}"][figure], 3)


def _is_first(strokes: Sequence[Stroke]) -> NDArray[np.bool_]:
    """Return which strokes, (N,), were the first ones on their slices."""
    return np.asarray(np.arange(len(strokes)) % _STROKES_A_SLICE == 0)


def _p95_extra(ours: NDArray[np.float64], bare: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 95 % interval of the difference of 95th percentiles, pairs (N,) resampled."""
    rows = np.random.default_rng(0).integers(len(ours), size=(_RESAMPLED, len(ours)))
    extra = np.percentile(ours[rows], 95, axis=1) - np.percentile(bare[rows], 95, axis=1)
    return interval_of(extra)


def _alternate(
    desk: Desk, slices: int, count: int, told: Told
) -> tuple[dict[str, list[Stroke]], list[float]]:
    """Return what each of `count` strokes took, by layer, and the seconds until the disk had it."""
    rng, waited = np.random.default_rng(0), []
    spent: dict[str, list[Stroke]] = {name: [] for name in desk.layers}
    # The first strokes of all pay for what is imported and compiled once.
    for number in range(-_STROKES_A_SLICE, count):
        path = _path(rng)
        # By turns each of the two goes first.
        for name in sorted(spent, reverse=bool(number % 2)):
            desk.prepare(name, (number // _STROKES_A_SLICE + 1) % slices)
            took = desk.draw(path)
            if number >= 0:
                spent[name].append(took)
                # A stroke that changes no voxel is nothing to save.
                waited += [desk.acknowledged] if name == "ours" and desk.acknowledged > 0 else []
        told(max(0, number + 1), count)
    for name, layer in desk.layers.items():
        if not np.any(layer.data == 1):
            raise CriiError(f"the benchmark cannot go on: no stroke left anything, {name}")
    return spent, waited


def _path(rng: np.random.Generator) -> NDArray[np.float64]:
    """Return where the mouse goes: a line with a bend, in parts of the canvas, (moves, 2)."""
    start, steps = rng.uniform(0.35, 0.65, 2), rng.uniform(-0.01, 0.01, (_MOVES, 2))
    drift = rng.uniform(-0.008, 0.008, 2)
    return np.asarray(start + np.cumsum(steps + drift, axis=0))


def _noise() -> Volume:
    rng = np.random.default_rng(0)
    return Volume(rng.integers(0, 900, SHAPE, dtype=np.int16))


def _by_kind(spent: Mapping[str, Sequence[Stroke]]) -> dict[str, dict[str, float]]:
    """Summarise the strokes on each layer: those on a slice under work, and the first ones."""
    found = {}
    for name, seconds in spent.items():
        first = _is_first(seconds)
        found[name] = _summary(np.array(seconds)[~first])
        found[f"{name}, first"] = _summary(np.array(seconds)[first])
    return found


def _summary(seconds: NDArray[np.float64]) -> dict[str, float]:
    """Return count, median and 95th percentile in ms: all, computing, handling of the mouse."""
    wall, cpu, handled = seconds.T * 1000
    found = {
        "median_ms": np.median(wall),
        "p95_ms": np.percentile(wall, 95),
        "median_cpu_ms": np.median(cpu),
        "p95_cpu_ms": np.percentile(cpu, 95),
        "median_handled_ms": np.median(handled),
        "p95_handled_ms": np.percentile(handled, 95),
    }
    return {"count": len(wall), **{name: round(float(v), 3) for name, v in found.items()}}
