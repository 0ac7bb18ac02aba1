"""What nibabel mends in a header while it reads: told, instead of printed or passed over."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nibabel import imageglobals

from napari_crii.errors import ScanError


@contextmanager
def noting() -> Iterator[list[str]]:
    """Collect, without repeats, what nibabel says of headers on this thread."""
    thread, notes = threading.get_ident(), list[str]()

    def collect(record: logging.LogRecord) -> bool:
        if record.thread != thread:
            return True
        text = record.getMessage()
        if text not in notes:
            notes.append(text)
        return False

    imageglobals.logger.addFilter(collect)
    try:
        yield notes
    finally:
        imageglobals.logger.removeFilter(collect)


def as_remarks(path: str | Path, notes: list[str]) -> tuple[str, ...]:
    """Return what was mended as remarks.

    Raises
    ------
    ScanError
        If a form has a code that the standard does not know: nibabel would drop the form, and
        the scan would lie elsewhere.
    """
    for note in notes:
        if "form_code" in note:
            raise ScanError(f"{path} has an unknown {note.split(' not valid')[0]}")
    return tuple(f"the header was mended on reading: {note}" for note in notes)
