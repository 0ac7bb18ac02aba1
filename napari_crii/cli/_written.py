"""Texts and pictures, verified and whole or not at all, and where a table and a plot go."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_crii.errors import WriteError

if TYPE_CHECKING:
    from PIL import Image


def write_text(path: Path, text: str) -> None:
    """Write a text file; errors as those of `atomic_write`."""
    from napari_crii.io.atomic import atomic_write

    def write(beside: Path) -> None:
        beside.write_text(text, encoding="utf-8")

    def verify(beside: Path) -> None:
        if beside.read_text(encoding="utf-8") != text:
            raise WriteError("it reads differently from what was written")

    atomic_write(path, write, verify)


def write_image(path: Path, image: Image.Image) -> None:
    """Write a picture as PNG; errors as those of `atomic_write`."""
    from PIL import Image as Reader

    from napari_crii.io.atomic import atomic_write

    def verify(beside: Path) -> None:
        with Reader.open(beside) as written:
            if written.tobytes() != image.tobytes():
                raise WriteError("it reads differently from what was written")

    atomic_write(path, lambda beside: image.save(beside, format="PNG"), verify)


def beside(runs: Path) -> tuple[Path, Path]:
    """Return where table and plot of a file of runs are written: beside it, Markdown and PNG.

    A page that is there is written anew only if it begins with the title of a benchmark, and a
    plot only beside such a page: anything else is somebody's own.

    Raises
    ------
    WriteError
        If one of them is the name of the runs or a file of somebody else, or their folder cannot
        be written.
    """
    from napari_crii.cli._folders import require_writable

    if runs.suffix.lower() in {".md", ".png"}:
        raise WriteError(f"{runs} is the name of table or plot: name the runs otherwise, *.jsonl")
    require_writable(runs.parent)
    table, plot = runs.with_suffix(".md"), runs.with_suffix(".png")
    for path in (table, plot):
        if path.exists() and not _is_page(table):
            raise WriteError(
                f"{path} would be replaced, but is no report of a benchmark: name the runs "
                "otherwise, or move that file away"
            )
    return table, plot


def _is_page(path: Path) -> bool:
    """Return whether a file is there and begins like the page of a benchmark."""
    from napari_crii.benchmark.titles import TITLES

    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.readline(200).startswith(tuple(title.encode() for title in TITLES))
