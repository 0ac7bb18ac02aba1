"""Scans from files, read off the window's thread; of several volumes the user chooses one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QWidget

from napari_crii._layers import LayerData, image_layer
from napari_crii.widgets import _questions
from napari_crii.widgets.background import Background

Say = Callable[..., None]


class ScanOpening(QObject):
    """Open scans one after the other.

    Parameters
    ----------
    parent
        The widget that questions belong to.
    opened
        Called with each scan as an image layer.
    say
        Called with a sentence, and whether it is a problem.
    """

    def __init__(self, parent: QWidget, opened: Callable[[LayerData], None], say: Say) -> None:
        super().__init__(parent)
        self._widget = parent
        self._opened = opened
        self._say = say
        self._background = Background(self._on_failure, self)

    def open(self, path: Path) -> None:
        """Read a scan; if there are several volumes, ask which one."""
        self._say(f"Reading {path.name}.")
        self._background.run(lambda: _read_single(path), lambda read: self._on_read(path, read))

    def close(self) -> None:
        """Drop what is being read."""
        self._background.close()

    def _on_read(self, path: Path, read: LayerData | int) -> None:
        if not isinstance(read, int):
            self._say(f"{path.name} is open.")
            self._opened(read)
            return
        question = f"{path.name} holds {read} volumes (phases, time points). Which one, from 0 on?"
        index = _questions.number(self._widget, "Choose a volume", question, read - 1)
        if index is None:
            self._say(f"{path.name} was not opened.")
            return
        self._background.run(lambda: _read(path, index), lambda made: self._on_read(path, made))

    def _on_failure(self, error: BaseException) -> None:
        self._say(str(error) or type(error).__name__, True)


def _read_single(path: Path) -> LayerData | int:
    """Return a scan as a layer, or the number of its volumes if there are several."""
    from napari_crii.io import volume_count

    count = volume_count(path)
    return count if count > 1 else _read(path, None)


def _read(path: Path, index: int | None) -> LayerData:
    from napari_crii.io import read_scan

    return image_layer(read_scan(path, index))
