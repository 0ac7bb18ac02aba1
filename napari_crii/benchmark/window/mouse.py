"""A mouse over the canvas of a window: events as a hand would cause them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from napari.viewer import Viewer
from numpy.typing import NDArray
from qtpy.QtCore import QEvent, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication, QWidget

_LEFT, _NONE = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton

# Where on a canvas, across and down, in parts of its width and height.
Part = Sequence[float] | NDArray[np.float64]


def canvas_of(viewer: Viewer) -> tuple[QWidget, QWidget]:
    """Return a viewer's window and its canvas, which napari hands out in no public way.

    They are found by the viewer's title, which no other window may have.
    """
    return next(
        (window, widget)
        for window in QApplication.topLevelWidgets()
        if window.windowTitle() == viewer.title
        for widget in window.findChildren(QWidget)
        if "CanvasBackend" in type(widget).__name__
    )


def press(canvas: QWidget, part: Part) -> None:
    """Press the left button."""
    _send(canvas, QEvent.Type.MouseButtonPress, part, _LEFT, _LEFT)


def move(canvas: QWidget, part: Part, pressed: bool) -> None:
    """Move, with or without the left button pressed."""
    _send(canvas, QEvent.Type.MouseMove, part, _NONE, _LEFT if pressed else _NONE)


def release(canvas: QWidget, part: Part) -> None:
    """Release the left button."""
    _send(canvas, QEvent.Type.MouseButtonRelease, part, _LEFT, _NONE)


def _send(
    canvas: QWidget,
    kind: QEvent.Type,
    part: Part,
    button: Qt.MouseButton,
    buttons: Qt.MouseButton,
) -> None:
    """Let the canvas handle an event that `button` caused, while `buttons` are down."""
    point = QPointF(part[0] * canvas.width(), part[1] * canvas.height())
    everywhere = QPointF(canvas.mapToGlobal(point.toPoint()))
    no_key = Qt.KeyboardModifier.NoModifier
    event = QMouseEvent(kind, point, everywhere, button, buttons, no_key)
    QApplication.sendEvent(canvas, event)
