"""A scan on its way to the engine: a file that both map into memory. No Qt, no torch."""

from __future__ import annotations

import contextlib
import threading
import weakref
from pathlib import Path

import numpy as np

from napari_crii.engine.messages import Message, OpenScan
from napari_crii.volume import Volume


class Spool:
    """Hands a scan over as a memory-mapped file; does not hold the scan once it is written.

    Attributes
    ----------
    failed
        Whether it could not be written; the next question tries again.
    """

    def __init__(self, key: str, path: Path, volume: Volume) -> None:
        self._message = OpenScan(key, str(path), volume.slice_spacing, volume.geometry.unit)
        self._path = path
        self._volume = weakref.ref(volume)
        self._held: Volume | None = volume
        self.failed = False
        self._removed = False

    def is_of(self, volume: Volume) -> bool:
        """Whether this is the scan that is handed over."""
        return self._volume() is volume

    def __call__(self) -> Message | None:
        """Write the file, unless it is there, and return the message that names it.

        None for a scan that is gone, or whose file was removed.
        """
        if self._removed:
            return None
        if not self._path.exists():
            volume = self._volume()
            if volume is None:
                return None
            self.failed = True
            _save_whole(self._path, volume)
            self.failed = False
        self._held = None
        return self._message

    def remove(self) -> None:
        """Remove the file, for good."""
        self._removed = True
        _remove(self._path)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def _save_whole(path: Path, volume: Volume) -> None:
    """Write voxels, slices first; the file appears whole or not at all."""
    partial = path.with_name(f"{path.name}.{threading.get_ident()}")
    try:
        with partial.open("wb") as stream:
            np.save(stream, volume.slices())
        partial.replace(path)
    except (OSError, MemoryError):
        _remove(partial)
        raise
