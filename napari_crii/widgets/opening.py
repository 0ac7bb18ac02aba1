"""Scans from files, read off the window's thread; of several volumes the user chooses one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from napari.layers import Image
from qtpy.QtCore import QObject
from qtpy.QtWidgets import QWidget

from napari_crii._layers import LayerData, preview_layer, scan_layer
from napari_crii.errors import SeveralVolumesError
from napari_crii.widgets import _questions
from napari_crii.widgets.background import Background
from napari_crii.widgets.scan_layer import ScanLayer
from napari_crii.widgets.sentences import reason_of

Say = Callable[..., None]


class ScanOpening(QObject):
    """Open scans one after the other; of a DICOM series one slice is shown at once.

    Parameters
    ----------
    parent
        The widget that questions belong to.
    show
        Makes the layer in which a scan is shown.
    opened
        Called with the path and the layer of each scan that was opened.
    say
        Called with a sentence, and whether it is a problem.
    """

    def __init__(
        self,
        parent: QWidget,
        show: Callable[[], ScanLayer],
        opened: Callable[[Path, Image], None],
        say: Say,
    ) -> None:
        super().__init__(parent)
        self._widget = parent
        self._show = show
        self._opened = opened
        self._say = say
        self._background = Background(self._on_failure, self)

    def open(self, path: Path) -> None:
        """Read a scan; if there are several volumes, ask which one."""
        self._say(f"Reading {path.name}.")
        layer = self._show()
        self._background.run(lambda: preview_layer(path), layer.preview)
        self._read(path, layer, lambda: _read_single(path))

    def close(self) -> None:
        """Drop what is being read."""
        self._background.close()

    def _read(self, path: Path, layer: ScanLayer, work: Callable[[], LayerData | int]) -> None:
        def refused(error: BaseException) -> None:
            layer.withdraw()
            self._on_failure(error)

        self._background.run(work, lambda read: self._on_read(path, layer, read), refused)

    def _on_read(self, path: Path, layer: ScanLayer, read: LayerData | int) -> None:
        if not isinstance(read, int):
            self._say(f"{path.name} is open.")
            self._opened(path, layer.fill(read))
            return
        question = f"{path.name} holds {read} volumes (phases, time points). Which one, from 0 on?"
        index = _questions.number(self._widget, "Choose a volume", question, read - 1)
        if index is None:
            layer.withdraw()
            self._say(f"{path.name} was not opened.")
            return
        self._read(path, layer, lambda: scan_layer(path, index))

    def _on_failure(self, error: BaseException) -> None:
        self._say(reason_of(error), True)


def _read_single(path: Path) -> LayerData | int:
    """Return a scan as a layer, or the number of its volumes if there are several."""
    try:
        return scan_layer(path)
    except SeveralVolumesError as several:
        return several.count
