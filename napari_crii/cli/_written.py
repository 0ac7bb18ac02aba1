"""Text files, verified and whole or not at all, and where a table goes."""

from __future__ import annotations

from pathlib import Path

from napari_crii.errors import WriteError


def write_text(path: Path, text: str) -> None:
    """Write a text file; errors as those of `atomic_write`."""
    from napari_crii.io.atomic import atomic_write

    def write(beside: Path) -> None:
        beside.write_text(text, encoding="utf-8")

    def verify(beside: Path) -> None:
        if beside.read_text(encoding="utf-8") != text:
            raise WriteError("it reads differently from what was written")

    atomic_write(path, write, verify)


def table_beside(runs: Path) -> Path:
    """Return where the table of a file of runs is written: beside it, as Markdown.

    Raises
    ------
    WriteError
        If that is the name of the runs, or their folder cannot be written.
    """
    from napari_crii.cli._folders import require_writable

    table = runs.with_suffix(".md")
    if table == runs:
        raise WriteError(f"{runs} is the name of the table: name the runs otherwise, *.jsonl")
    require_writable(runs.parent)
    return table
