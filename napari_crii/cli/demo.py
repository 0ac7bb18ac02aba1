"""``napari-crii demo``: the tool at work, in a window or without one."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_crii.cli._display import has_display
from napari_crii.cli._output import JsonOption, note, write_json
from napari_crii.cli._scan_options import VolumeIndex
from napari_crii.errors import EngineError

if TYPE_CHECKING:
    from napari_crii.cli._headless import Outcome
    from napari_crii.demo import DemoTask

_DEMO_FOLDER = Path("demo-output")

Scan = Annotated[
    Path | None,
    typer.Argument(readable=False, metavar="[SCAN]", help="Your scan; without it, a template MRI."),
]
Output = Annotated[
    Path,
    typer.Option(
        "--output", "-o", readable=False, metavar="DIR", help="Folder to write to when headless."
    ),
]
Headless = Annotated[bool, typer.Option("--headless", help="Open no window.")]
Iterations = Annotated[int | None, typer.Option(min=1, help="Steps to learn for, without a scan.")]
Weights = Annotated[
    Path | None,
    typer.Option(
        "--checkpoint",
        readable=False,
        metavar="FILE",
        help="Weights for SCAN instead of the shipped.",
    ),
]
Engine = Annotated[
    str | None,
    typer.Option(
        "--engine",
        metavar="CMD",
        help='What carries the network for the window, such as "ssh HOST napari-crii engine".',
    ),
]


def demo(
    scan: Scan = None,
    output: Output = _DEMO_FOLDER,
    headless: Headless = False,
    iterations: Iterations = None,
    checkpoint: Weights = None,
    volume_index: VolumeIndex = None,
    engine: Engine = None,
    as_json: JsonOption = False,
) -> None:
    """Show the tool at work: on your scan with the shipped weights, or on a template MRI.

    Without a scan a fresh network learns white matter from three slices, for about a minute.
    Without a display nothing is shown: mask, probabilities, map and a contact sheet are written,
    and replace those of an earlier demonstration.
    """
    from napari_crii.demo import DEMO_ITERATIONS, mni_task, scan_task

    windowless = headless or as_json or not has_display()
    if windowless and not headless:
        note("Running headless: " + ("--json asks for it." if as_json else "there is no display."))
    if engine is not None:
        _choose(engine, windowless)
    if scan is None:
        task = mni_task(iterations or DEMO_ITERATIONS)
    else:
        task = scan_task(scan, checkpoint, volume_index)
    if not windowless:
        from napari_crii.cli._window import show

        raise typer.Exit(show(task))
    _show_headless(task, scan, output, as_json)


def _choose(engine: str, windowless: bool) -> None:
    """Let the window's children be started by a command."""
    from napari_crii.engine.command import VARIABLE, words_of

    if windowless:
        raise EngineError("--engine is for a window, and none is opened here")
    if not words_of(engine):
        raise EngineError("--engine names no command")
    os.environ[VARIABLE] = engine


def _show_headless(task: DemoTask, scan: Path | None, output: Path, as_json: bool) -> None:
    from napari_crii.cli._folders import require_writable
    from napari_crii.io.pairs import scan_stem

    require_writable(output)
    from napari_crii.cli._headless import run_headless

    stem = task.volume.name if scan is None else scan_stem(scan)
    outcome = run_headless(task, output, stem)
    if as_json:
        write_json(_report(task, scan or Path(stem), outcome))
    else:
        typer.echo("\n".join(_lines(task, outcome)))


def _report(task: DemoTask, scan: Path, outcome: Outcome) -> dict[str, Any]:
    from napari_crii.cli.predict import record

    return {
        **record(scan, outcome.files, outcome.prediction),
        "contact_sheet": str(outcome.sheet),
        "iterations": task.iterations,
        "learning_seconds": round(outcome.learning_seconds, 3),
        "dice_unseen": None if outcome.dice is None else asdict(outcome.dice),
        "remark": task.remark,
    }


def _lines(task: DemoTask, outcome: Outcome) -> list[str]:
    """Say what was done, what is written, and what it proves."""
    lines = []
    if task.iterations:
        lines.append(
            f"Learnt from {len(task.seeds)} slices in {outcome.learning_seconds:.0f} s, "
            f"{task.iterations} steps."
        )
    lines.append(
        f"Proposed {task.volume.slice_count} slices in {outcome.prediction.seconds:.1f} s, "
        f"{len(outcome.prediction.patches)} patches to look at."
    )
    if outcome.dice is not None:
        lines.append(
            f"Dice on the {outcome.dice.slices} slices it never saw: "
            f"coarse {outcome.dice.coarse:.3f}, refined {outcome.dice.refined:.3f}."
        )
    if task.remark:
        lines.append(task.remark)
    return [*lines, "Written:", *(f"  {path}" for path in (*outcome.files.all, outcome.sheet))]
