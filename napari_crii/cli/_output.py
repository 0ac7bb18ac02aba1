"""Where words, JSON and progress go."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Protocol

import typer

_SECONDS_BETWEEN_LINES = 10.0

JsonOption = Annotated[bool, typer.Option("--json", help="Write JSON to standard output.")]


class Advance(Protocol):
    """Shows what is done of what there is in all, and a word beside the bar."""

    def __call__(self, done: int, total: int, beside: str = "") -> None: ...


def version() -> str:
    """Return the installed version; a source tree on the path has none."""
    from importlib.metadata import PackageNotFoundError

    import napari_crii

    try:
        return napari_crii.__version__
    except PackageNotFoundError:
        return "0+unknown"


def write_json(value: Any) -> None:
    """Write a value to standard output; it must not hold NaN or infinity."""
    typer.echo(json.dumps(value, indent=2, allow_nan=False))


def note(text: str) -> None:
    """Tell the user something that is not the result."""
    typer.echo(text, err=True)


@contextmanager
def progress_bar(label: str) -> Iterator[Advance]:
    """Show progress on standard error: a bar on a terminal, a line now and then elsewhere.

    Yields
    ------
    Advance
        To be called with what is done, what there is in all, and a word beside the bar.
    """
    if not sys.stderr.isatty():
        yield _lines(label)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as TimeLeft

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeLeft(compact=True),
        TextColumn("{task.fields[beside]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(label, total=None, beside="")

        def advance(done: int, total: int, beside: str = "") -> None:
            bar.update(task, completed=done, total=total, beside=beside)

        yield advance


def _lines(label: str) -> Advance:
    """Return a progress that prints a line at most every ten seconds."""
    last = time.monotonic()

    def advance(done: int, total: int, beside: str = "") -> None:
        nonlocal last
        if time.monotonic() - last >= _SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            note(f"{label}: {done} of {total} {beside}".rstrip())

    return advance
