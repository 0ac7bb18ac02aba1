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

    Raises
    ------
    WriteError
        If one of them is the name of the runs, or their folder cannot be written.
    """
    from napari_crii.cli._folders import require_writable

    if runs.suffix.lower() in {".md", ".png"}:
        raise WriteError(f"{runs} is the name of table or plot: name the runs otherwise, *.jsonl")
    require_writable(runs.parent)
    return runs.with_suffix(".md"), runs.with_suffix(".png")
