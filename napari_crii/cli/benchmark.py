"""``napari-crii benchmark``: protocols that measure, on anyone's own data."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_crii.cli._benchmark_errors import errors
from napari_crii.cli._benchmark_ssl import ssl
from napari_crii.cli._display import has_display
from napari_crii.cli._loading import loading
from napari_crii.cli._output import Advance, JsonOption, note, progress_bar, write_json
from napari_crii.cli._training_options import (
    AdaptiveContrast,
    AssumedMm,
    Classes,
    Crop,
    Groups,
    Images,
    Iterations,
    Labels,
    MixedPrecision,
    Neighbours,
    NoMirror,
    OneObject,
    PixelMm,
    RecipeChoice,
    Scope,
    ScopeOption,
    Seed,
    Turned,
    class_names,
    names_in,
    recipe_of,
    say_what_is_left_out,
)
from napari_crii.errors import CriiError, WriteError

if TYPE_CHECKING:
    from napari_crii.benchmark.crossval import CrossValidation
    from napari_crii.demo import DemoTask
    from napari_crii.volume import Volume

_PARTS = ("proposal", "volume", "window", "stroke")
_RATIOS = {
    "proposal_over_passes": "proposal over bare passes",
    "map_over_passes": "map over bare passes",
    "volume_over_passes": "volume with map over passes",
}
_STROKE_FIGURES = ("median_ms", "p95_ms", "p95_cpu_ms", "p95_handled_ms")

Folds = Annotated[int, typer.Option(min=2, help="How many times to train, on other patients.")]
Out = Annotated[
    Path,
    typer.Option(
        readable=False,
        metavar="FILE",
        help="Finished folds, *.jsonl: what is there is not computed again.",
    ),
]
Parts = Annotated[
    str, typer.Option("--part", metavar="PART,PART", help="Of proposal, volume, window, stroke.")
]
ScanOption = Annotated[
    Path | None,
    typer.Option(readable=False, metavar="SCAN", help="Your scan; without it, the phantom."),
]
Weights = Annotated[
    Path | None,
    typer.Option(
        "--checkpoint", readable=False, metavar="FILE", help="Weights instead of the shipped."
    ),
]
Repeats = Annotated[int, typer.Option(min=2, help="Rounds in which to alternate.")]
Tick = Annotated[
    int, typer.Option(min=0, help="Steps to learn for in the window; 0: as many as in use.")
]
Scroll = Annotated[
    bool, typer.Option("--scroll", help="Scroll in the window while it proposes and learns.")
]

app = typer.Typer(name="benchmark", no_args_is_help=True, help="Measure, on your own data.")
app.command(epilog="Example: napari-crii benchmark loading --slices 60 --json")(loading)


@app.command(
    epilog="Example: napari-crii benchmark crossval --images scans --labels masks "
    "--groups patients.csv --out runs.jsonl"
)
def crossval(
    images: Images,
    labels: Labels,
    groups: Groups,
    out: Out,
    classes: Classes = None,
    folds: Folds = 5,
    iterations: Iterations = 1500,
    crop: Crop = 128,
    mixed_precision: MixedPrecision = False,
    turned: Turned = 0.0,
    seed: Seed = 0,
    neighbours: Neighbours = 0,
    scope: ScopeOption = Scope.SLICE,
    no_mirror: NoMirror = False,
    pixel_mm: PixelMm = None,
    assumed_mm: AssumedMm = None,
    adaptive_contrast: AdaptiveContrast = False,
    one_object: OneObject = False,
    as_json: JsonOption = False,
) -> None:
    """Train and test by turns, patient by patient: Dice of every patient, by a stranger.

    A run that was stopped goes on at its last finished fold. The table is also written beside
    the runs, as Markdown.
    """
    from napari_crii.cli._folders import require_writable

    table = out.with_suffix(".md")
    if table == out:
        raise WriteError(f"{out} is the name of the table: name the runs otherwise, *.jsonl")
    require_writable(out.parent)
    say_what_is_left_out(images, labels)
    names = class_names(classes)
    recipe = recipe_of(
        images,
        labels,
        RecipeChoice(
            neighbours, scope, not no_mirror, pixel_mm, assumed_mm, adaptive_contrast, one_object
        ),
    )
    from napari_crii.benchmark.crossval import CrossValidation
    from napari_crii.training import TrainingConfig

    training = TrainingConfig(
        iterations=iterations,
        crop=crop,
        mirror_axes=recipe.mirror_axes,
        mixed_precision=mixed_precision,
        turned=turned,
    )
    plan = CrossValidation(images, labels, groups, names, recipe, training, folds, seed)
    _report_folds(plan, out, table, as_json)


app.command(
    epilog="Example: napari-crii benchmark ssl --images scans --labels masks --labelled 0.04 "
    "--out few.jsonl"
)(ssl)
app.command(
    epilog="Example: napari-crii benchmark errors --images scans --labels masks --out errors.jsonl"
)(errors)


@app.command(epilog="Example: napari-crii benchmark latency --part proposal --json")
def latency(
    parts: Parts = "proposal,window",
    scan: ScanOption = None,
    checkpoint: Weights = None,
    repeats: Repeats = 20,
    tick: Tick = 0,
    scroll: Scroll = False,
    as_json: JsonOption = False,
) -> None:
    """Time proposals and maps over bare network passes, and the window's longest pause.

    proposal: one slice. volume: a whole scan. window: opens one, which needs a display,
    proposes, accepts a slice and learns. stroke: brush strokes in a window, over the same on a
    bare labels layer; without a scan, on 300 slices of 512 x 512.
    """
    wanted = _wanted_parts(parts)
    task = _task(scan, checkpoint)
    # The window first: its process has not loaded torch then, as in use.
    found = _measure_window(task, tick, scroll) if "window" in wanted else {}
    if "stroke" in wanted:
        found |= _measure_strokes(None if scan is None else task.volume, repeats)
    if wanted - {"window", "stroke"}:
        found |= _measure_network(task, wanted, repeats)
    from napari_crii.benchmark.machine import describe_machine

    report = {
        "scan": {"shape": list(task.volume.shape), "slices": task.volume.slice_count},
        **found,
        "machine": describe_machine(),
    }
    if as_json:
        write_json(report)
    else:
        typer.echo("\n".join(_latency_lines(report)))


def _report_folds(plan: CrossValidation, out: Path, table: Path, as_json: bool) -> None:
    from napari_crii.benchmark.crossval import SCORES, cross_validate
    from napari_crii.benchmark.crossval_report import report_page, report_table, summary

    with progress_bar("learning") as advance:
        runs = cross_validate(plan, out, lambda done, total: advance(done, total, ""))
    from napari_crii.cli._written import write_text

    write_text(table, report_page(plan, runs))
    summaries = {said: summary(runs, name) for name, said in SCORES.items()}
    if as_json:
        files = {"runs": str(out), "table": str(table)}
        by_name = {said.replace(" ", "_"): found for said, found in summaries.items()}
        write_json({**files, **by_name, "folds": runs})
        return
    typer.echo(report_table(runs))
    for said, s in summaries.items():
        typer.echo(
            f"{said:<13} Dice {s['mean']:.3f} ± {s['spread']:.3f} over {s['patients']} patients, "
            f"worst {s['worst']:.3f} ({s['worst_patient']})"
        )
    note(f"Written: {out}, {table}")


def _wanted_parts(text: str) -> set[str]:
    wanted = set(names_in(text, "parts"))
    if unknown := sorted(wanted - set(_PARTS)):
        raise CriiError(f"there is no part '{unknown[0]}': the parts are {', '.join(_PARTS)}")
    windows = [part for part in ("window", "stroke") if part in wanted]
    if windows and not has_display():
        raise CriiError(
            f"the part {windows[0]} opens a window, but there is no display: set DISPLAY, use "
            "xvfb-run, or choose --part proposal"
        )
    return wanted


def _task(scan: Path | None, checkpoint: Path | None) -> DemoTask:
    """Return a scan with its weights."""
    from napari_crii.checkpoint_info import read_checkpoint_info
    from napari_crii.demo import DemoTask, scan_task, shipped_checkpoint
    from napari_crii.phantom import make_phantom

    if scan is not None:
        return scan_task(scan, checkpoint)
    weights = checkpoint or shipped_checkpoint()
    return DemoTask(make_phantom()[0], read_checkpoint_info(weights).classes, weights)


def _measure_network(task: DemoTask, wanted: set[str], repeats: int) -> dict[str, Any]:
    from napari_crii.benchmark.latency import slice_latency, volume_latency
    from napari_crii.checkpoint import load_checkpoint
    from napari_crii.inference import Predictor

    assert task.checkpoint is not None
    predictor = Predictor(load_checkpoint(task.checkpoint))
    measures: dict[str, Callable[..., dict[str, Any]]] = {
        "proposal": slice_latency,
        "volume": volume_latency,
    }
    found: dict[str, Any] = {"milliseconds": {}, "repeats": repeats}
    for part in [part for part in measures if part in wanted]:
        with progress_bar(part) as advance:
            measured = measures[part](predictor, task.volume, repeats, partial(_told, advance))
        milliseconds = measured.pop("milliseconds")
        found |= {**measured, "milliseconds": {**found["milliseconds"], **milliseconds}}
    return found


def _told(advance: Advance, done: int, total: int) -> None:
    advance(done, total, "")


def _measure_window(task: DemoTask, tick: int, scroll: bool) -> dict[str, Any]:
    with _a_window():
        from napari_crii.benchmark._window import window_latency

        return window_latency(task, tick, scroll)


def _measure_strokes(volume: Volume | None, rounds: int) -> dict[str, Any]:
    with _a_window(), progress_bar("strokes") as advance:
        from napari_crii.benchmark._strokes import stroke_latency

        return stroke_latency(volume, rounds, partial(_told, advance))


@contextmanager
def _a_window() -> Iterator[None]:
    """Say that a window opens, and what it needs; keep standard output for the result."""
    note("A window opens; it closes by itself.")
    try:
        # napari prints its notices.
        with redirect_stdout(sys.stderr):
            yield
    except ImportError as error:
        raise CriiError(
            f"a window needs Qt and napari ({error}): napari-crii doctor says what is missing"
        ) from error


def _latency_lines(report: dict[str, Any]) -> list[str]:
    """Say each ratio with its interval, and absolute times beside."""
    lines = []
    for name, text in _RATIOS.items():
        if name in report:
            low, high = report[f"{name}_interval"]
            lines.append(f"{text:<32} {report[name]:.3f} ({low:.3f} to {high:.3f})")
    for name, ms in report.get("milliseconds", {}).items():
        lines.append(f"{name.replace('_', ' '):<32} {ms:.1f} ms")
    for name, phase in report.get("phases", {}).items():
        lines.append(
            f"{'longest gap, ' + name:<32} {phase['longest_ms']:.1f} ms, "
            f"p99 {phase['p99_ms']:.1f} ms, in {phase['seconds']:.0f} s"
        )
    lines += _stroke_lines(report)
    machine = report["machine"]
    told = f"{machine['cpu']}, {machine['cores']} cores, torch {machine['torch']}"
    return [*lines, f"{told} on {machine['threads']} threads"]


def _stroke_lines(report: dict[str, Any]) -> list[str]:
    """Return a table of the strokes, and what ours take more."""
    if "strokes" not in report:
        return []
    from napari_crii.benchmark.table import markdown_table

    head = ("strokes on", "count", "median, ms", "95 %, ms", "computing", "handling the mouse")
    rows = [
        (name, str(kind["count"]), *(f"{kind[key]:.2f}" for key in _STROKE_FIGURES))
        for name, kind in report["strokes"].items()
    ]
    more, handled = report["stroke_extra_ms"], report["stroke_extra_handled_ms"]
    first = report["first_stroke_extra_ms"], report["first_stroke_extra_handled_ms"]
    size = " x ".join(str(n) for n in report["layer"])
    return [
        markdown_table(head, rows),
        f"at 95 %, a stroke on ours takes {more:.2f} ms more, {handled:.2f} ms more to handle "
        f"the mouse; the first on a slice {first[0]:.2f} and {first[1]:.2f} ms; layers of {size}",
    ]
