"""Output folders: refused before anything is computed, created only when something is written."""

from __future__ import annotations

import os
from pathlib import Path

from napari_crii.errors import WriteError


def require_writable(folder: Path) -> None:
    """Raise `WriteError` unless `folder`, or the nearest folder above it, can be written."""
    nearest = Path(os.path.abspath(folder))
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        raise WriteError(f"{folder} cannot be written: {nearest} is a file, not a folder")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise WriteError(f"{folder} cannot be written: {nearest} is write-protected")


def create(folder: Path) -> list[Path]:
    """Create a folder with those above it, and return what was created, deepest first.

    Raises
    ------
    WriteError
        If it cannot be created.
    """
    absolute = Path(os.path.abspath(folder))
    missing = [path for path in (absolute, *absolute.parents) if not path.exists()]
    try:
        absolute.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        from napari_crii.io.atomic import in_words

        raise WriteError(f"{folder} cannot be created: {in_words(error)}") from error
    return missing


def remove_empty(folders: list[Path]) -> None:
    """Remove folders, deepest first, as long as they are empty."""
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            return
