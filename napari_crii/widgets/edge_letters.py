"""Which side of the patient lies at each edge of the canvas, written over it.

napari's own words on the canvas are drawn anew with every frame: four letters take a third of the
time of a brush's frame where no graphics card draws. Labels over the canvas take none.
"""

from __future__ import annotations

from dataclasses import fields

from qtpy.QtCore import QEvent, QObject, Qt, QTimer
from qtpy.QtWidgets import QLabel, QWidget

from napari_crii.orientation import Edges
from napari_crii.widgets._compat import canvas_in

# Read on black, on grey and on white.
_STYLE = "color: #ffb000; background: transparent; font-size: 19px; font-weight: bold;"
_MARGIN_PX = 6
_AGAIN_MS = 100
_TRIES = 50


class EdgeLetters(QObject):
    """Letters at the edges of the canvas of the window that a dock is in.

    Parameters
    ----------
    dock
        A widget that is docked there, now or soon.
    """

    def __init__(self, dock: QWidget) -> None:
        super().__init__(dock)
        self._dock = dock
        self._canvas: QWidget | None = None
        self._labels: dict[str, QLabel] = {}
        self._edges = Edges()
        self._tries = 0
        self._again = QTimer(self)
        self._again.setSingleShot(True)
        self._again.setInterval(_AGAIN_MS)
        self._again.timeout.connect(self._show)

    def write(self, edges: Edges) -> None:
        """Write what lies at each edge; as soon as the dock is docked."""
        self._edges, self._tries = edges, _TRIES
        self._show()

    def close(self) -> None:
        """Take the letters away."""
        self._again.stop()
        if self._canvas is not None:
            self._canvas.removeEventFilter(self)
        for label in self._labels.values():
            label.hide()
            label.deleteLater()
        self._lost()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Keep the letters at the edges of a canvas that changes its size."""
        if event is not None and event.type() == QEvent.Type.Resize:
            self._place()
        return False

    def _show(self) -> None:
        if self._canvas is None and not self._found():
            self._tries -= 1
            if self._tries > 0:
                self._again.start()
            return
        for name, label in self._labels.items():
            text = getattr(self._edges, name)
            label.setText(text)
            label.adjustSize()
            label.setVisible(bool(text))
        self._place()

    def _found(self) -> bool:
        """Look for the canvas and put labels over it."""
        canvas = canvas_in(self._dock.window())
        if canvas is None:
            return False
        for field in fields(Edges):
            label = QLabel(canvas)
            label.setObjectName(f"napari_crii_{field.name}")
            label.setStyleSheet(_STYLE)
            label.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
            self._labels[field.name] = label
        self._canvas = canvas
        canvas.installEventFilter(self)
        # Its labels go with it.
        canvas.destroyed.connect(self._lost)
        return True

    def _lost(self) -> None:
        self._canvas, self._labels = None, {}

    def _place(self) -> None:
        if self._canvas is None:
            return
        size = self._canvas.size()
        for name, label in self._labels.items():
            room = size - label.size()
            x, y = room.width() // 2, room.height() // 2
            if name in {"left", "right"}:
                x = _MARGIN_PX if name == "left" else room.width() - _MARGIN_PX
            else:
                y = _MARGIN_PX if name == "top" else room.height() - _MARGIN_PX
            label.move(x, y)
