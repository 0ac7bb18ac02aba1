"""napari's circle of the brush, built before the first stroke needs it."""

from __future__ import annotations

from napari.components import ViewerModel
from qtpy.QtGui import QCursor
from qtpy.QtWidgets import QApplication

# Pixels of the display: below 8, and beyond the canvas, napari draws a cross instead.
_DIAMETER = 24


class BrushCircle:
    """Lets napari draw the circle for a frame; it builds then what the first stroke would wait for.

    The cursor alone is changed: the layers stay in their modes, and a click meanwhile draws
    nothing.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._before: dict[str, object] = {}

    def show(self) -> None:
        """Show it in a corner of the canvas, until `hide`."""
        cursor = self._viewer.cursor
        self._before = {name: getattr(cursor, name) for name in ("style", "size", "scaled")}
        cursor.scaled, cursor.size, cursor.style = False, _DIAMETER, "circle"
        self._viewer.mouse_over_canvas = True

    def hide(self) -> None:
        """Bring the cursor back as it was before `show`."""
        if not self._before:
            return
        for name, value in self._before.items():
            setattr(self._viewer.cursor, name, value)
        self._before = {}
        self._viewer.mouse_over_canvas = _mouse_is_over_canvas()


def _mouse_is_over_canvas() -> bool:
    # The mouse may have come since `show`, which napari then did not notice. vispy names the class.
    under = QApplication.widgetAt(QCursor.pos())
    return under is not None and "CanvasBackend" in type(under).__name__
