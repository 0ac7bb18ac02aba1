"""``napari-crii benchmark latency``: what the network, its map and the window make a user wait."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_crii.cli._display import has_display
from napari_crii.cli._latency_report import latency_lines
from napari_crii.cli._output import JsonOption, note, progress_bar, write_json
from napari_crii.cli._training_options import names_in
from napari_crii.errors import CriiError

if TYPE_CHECKING:
    from napari_crii.demo import DemoTask
    from napari_crii.volume import Volume

_PARTS = ("proposal", "volume", "pauses", "window", "training", "stroke")
_IN_A_WINDOW = ("pauses", "window", "training", "stroke")

Parts = Annotated[str, typer.Option("--part", metavar="PART,PART", help=f"Of {', '.join(_PARTS)}.")]
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
WindowSize = Annotated[
    str | None,
    typer.Option(
        metavar="WIDTHxHEIGHT",
        help="Of the window that is painted in, in pixels, on which figures hang; without it, "
        "1155x630, about what napari takes when it is opened for the first time.",
    ),
]
Seconds = Annotated[float, typer.Option(min=0, help="Least time that the hand paints in a round.")]


def latency(
    parts: Parts = "proposal,window",
    scan: ScanOption = None,
    checkpoint: Weights = None,
    repeats: Repeats = 20,
    tick: Tick = 0,
    seconds: Seconds = 2.0,
    window_size: WindowSize = None,
    as_json: JsonOption = False,
) -> None:
    """Time proposals and maps over bare network passes, and a window over bare napari.

    proposal: one slice. volume: a whole scan. pauses: opens a window, which needs a display, and
    proposes and learns while nobody touches it: the longest pause. window: opens one, paints
    and scrolls while it proposes and learns: the longest pause, the paint latency over
    bare napari, proposals beside learning. training: the trainer's steps over a bare loop.
    stroke: brush strokes in a window, over the same on a bare labels layer; without a scan, on
    300 slices of 512 x 512.
    """
    wanted, size = _wanted_parts(parts), _size(window_size)
    task = _task(scan, checkpoint)
    # The window first: its process has not loaded torch then, as in use.
    found: dict[str, Any] = {}
    if "pauses" in wanted:
        found |= _measure_pauses(task, tick)
    if at_work := wanted & {"window", "training"}:
        how = {"rounds": repeats, "tick": tick, "seconds": seconds, **size}
        found |= _measure_window(task, parts=frozenset(at_work), **how)
    if "stroke" in wanted:
        found |= _measure_strokes(None if scan is None else task.volume, repeats)
    if wanted.difference(_IN_A_WINDOW):
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
        typer.echo("\n".join(latency_lines(report)))


def _wanted_parts(text: str) -> set[str]:
    wanted = set(names_in(text, "parts"))
    if unknown := sorted(wanted - set(_PARTS)):
        raise CriiError(f"there is no part '{unknown[0]}': the parts are {', '.join(_PARTS)}")
    windows = [part for part in _IN_A_WINDOW if part in wanted]
    if windows and not has_display():
        raise CriiError(
            f"the part {windows[0]} opens a window, but there is no display: set DISPLAY, use "
            "xvfb-run, or choose --part proposal"
        )
    return wanted


def _size(text: str | None) -> dict[str, tuple[int, int]]:
    """Return the plan's ``size``, if one is asked for."""
    if text is None:
        return {}
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(part.isdecimal() and int(part) >= 300 for part in parts):
        raise CriiError(f"'{text}' is no size of a window: name two of at least 300, as 1580x960")
    return {"size": (int(parts[0]), int(parts[1]))}


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
            measured = measures[part](predictor, task.volume, repeats, advance)
        milliseconds = measured.pop("milliseconds")
        found |= {**measured, "milliseconds": {**found["milliseconds"], **milliseconds}}
    return found


def _measure_pauses(task: DemoTask, tick: int) -> dict[str, Any]:
    with _a_window():
        from napari_crii.benchmark.window.pauses import window_pauses

        return window_pauses(task, tick)


def _measure_window(task: DemoTask, **plan: Any) -> dict[str, Any]:
    with _a_window(), progress_bar("window") as advance:
        from napari_crii.benchmark.window.latency import Plan, window_latency

        return window_latency(task, Plan(**plan), advance)


def _measure_strokes(volume: Volume | None, rounds: int) -> dict[str, Any]:
    with _a_window(), progress_bar("strokes") as advance:
        from napari_crii.benchmark.window.strokes import stroke_latency

        return stroke_latency(volume, rounds, advance)


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
