"""Hands on a window: real keys and mouse strokes on the canvas, and looks at its layers."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QLabel

from napari_crii.widgets.assistant import CriiAssistant
from napari_crii.widgets.case_layers import DISAGREEMENT, HUMAN, PROPOSAL
from napari_crii.widgets.learning_words import LearningMode
from napari_crii.widgets.patches_layer import PATCHES

OURS = (DISAGREEMENT, PROPOSAL, PATCHES, HUMAN)
PATIENCE_MS = 60_000
LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
NO_KEY = Qt.KeyboardModifier.NoModifier
SHIFT, CONTROL = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier


class Window:
    """A viewer with the assistant docked."""

    def __init__(self, viewer: Any, qtbot: Any) -> None:
        self.viewer = viewer
        self.qtbot = qtbot
        self.assistant = CriiAssistant(viewer)
        self.controller = self.assistant.controller
        self.controller.network.mode = LearningMode.MANUAL
        viewer.window.add_dock_widget(self.assistant, name="CRII assistant", area="right")

    @property
    def case(self) -> Any:
        return self.controller.case

    @property
    def canvas(self) -> Any:
        return self.viewer.window._qt_viewer.canvas

    @property
    def status(self) -> str:
        """The sentence in the status line, as the user reads it."""
        return self.assistant.findChild(QLabel, "crii_status").text()

    @property
    def slice(self) -> int:
        return int(self.viewer.dims.current_step[-3])

    def data(self, name: str) -> np.ndarray:
        return np.asarray(self.viewer.layers[name].data)

    def until(self, condition: Any) -> None:
        self.qtbot.waitUntil(lambda: bool(condition()), timeout=PATIENCE_MS)

    def begin(self) -> None:
        """Open the scan for drawing, and wait until it is."""
        self.assistant.begin()
        self.until(lambda: self.controller.state.message != "Opening the scan.")
        assert not self.controller.state.is_error, self.status
        self.qtbot.wait(50)

    def propose(self, engine: Any, whole: bool = True) -> None:
        """Propose through a stand-in of the engine, and wait for the answer."""
        before = len(engine.asked)
        self.assistant.propose(whole)
        self.until(lambda: len(engine.asked) > before)
        engine.answer()
        self.until(lambda: self.status.startswith("Proposed"))
        self.qtbot.wait(50)

    def show(self, index: int) -> None:
        self.viewer.dims.set_current_step(self.viewer.dims.ndim - 3, index)
        self.qtbot.wait(20)

    def activate(self, name: str, mode: str | None = None) -> Any:
        layer = self.viewer.layers[name]
        self.viewer.layers.selection.active = layer
        if mode is not None:
            layer.mode = mode
        return layer

    def key(self, key: Any, modifier: Any = NO_KEY) -> None:
        QTest.keyClick(self.canvas.native, key, modifier)
        self.qtbot.wait(20)

    def click(self, button: Any) -> None:
        """Click on a button of the dock, as far as it is seen: it is scrolled to."""
        self.assistant._scrolled.ensureWidgetVisible(button)
        assert button.isEnabled(), button.text()
        QTest.mouseClick(button, LEFT, NO_KEY, button.rect().center())
        self.qtbot.wait(20)

    def pick(self, combo: Any, index: int) -> None:
        """Choose an entry of a list with the mouse."""
        self.assistant._scrolled.ensureWidgetVisible(combo)
        QTest.mousePress(combo, LEFT, NO_KEY, combo.rect().center())
        view = combo.view()
        self.until(view.isVisible)
        # A list that was just opened takes the first release for the end of the click on it.
        self.qtbot.wait(QApplication.doubleClickInterval() + 100)
        place = view.visualRect(combo.model().index(index, 0)).center()
        QTest.mouseMove(view.viewport(), place)
        QTest.mouseClick(view.viewport(), LEFT, NO_KEY, place)
        self.until(lambda: not view.isVisible())

    def stroke(self, *points: tuple[float, float], button: Any = LEFT, release: bool = True):
        """Press at the first point (row, column in pixels of the slice), drag, release."""
        self.press(points[0], button)
        for point in points[1:]:
            self.move(point, button)
        if release:
            self.release(points[-1], button)

    def press(self, point: tuple[float, float], button: Any = LEFT) -> None:
        QTest.mousePress(self.canvas.native, button, NO_KEY, self._on_canvas(point))

    def release(self, point: tuple[float, float], button: Any = LEFT) -> None:
        QTest.mouseRelease(self.canvas.native, button, NO_KEY, self._on_canvas(point))
        self.qtbot.wait(20)

    def move(self, point: tuple[float, float], button: Any = Qt.MouseButton.NoButton) -> None:
        native, at = self.canvas.native, QPointF(self._on_canvas(point))
        everywhere = QPointF(native.mapToGlobal(at.toPoint()))
        nothing = Qt.MouseButton.NoButton
        kind = QEvent.Type.MouseMove
        event = QMouseEvent(kind, at, everywhere, nothing, button, NO_KEY)
        QApplication.sendEvent(native, event)
        # The canvas takes at most so many moves per second.
        self.qtbot.wait(20)

    def end(self) -> None:
        self.assistant.shut_down()

    def _on_canvas(self, point: tuple[float, float]) -> QPoint:
        world = (0.0, *np.multiply(point, self.viewer.layers[HUMAN].scale[1:]))
        down, across = (world[axis - self.viewer.dims.ndim] for axis in self.viewer.dims.order[-2:])
        view = self.canvas.view
        transform = view.transform * view.scene.transform
        x, y = transform.map([across, down])[:2]
        return QPoint(round(x), round(y))
