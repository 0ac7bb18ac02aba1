"""Text files, verified and whole or not at all."""

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
