"""The classes in the dock: a click on the colour or the name of one changes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QColor
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QColorDialog, QPushButton

from napari_crii.session.project import Project
from napari_crii.widgets import _questions
from napari_crii.widgets.class_list import NAME, SWATCH
from tests.widgets.projects import enter

pytestmark = pytest.mark.gui


def click(window: Any, name: str) -> None:
    """Click a button of the class list with the mouse."""
    button = window.assistant.findChild(QPushButton, name)
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def answer_dialog(color: str | None) -> None:
    """Choose a colour in the dialog that is about to open; None: press Escape."""
    dialog = QApplication.activeModalWidget()
    if not isinstance(dialog, QColorDialog) or not dialog.isVisible():
        QTimer.singleShot(20, lambda: answer_dialog(color))
    elif color is None:
        QTest.keyClick(dialog, Qt.Key.Key_Escape)
    else:
        dialog.setCurrentColor(QColor(color))
        QTest.keyClick(dialog, Qt.Key.Key_Return)


def swatch_color(window: Any, label: int) -> str:
    """Return the colour that a swatch has on the screen."""
    swatch = window.assistant.findChild(QPushButton, f"{SWATCH}_{label}")
    picture = swatch.grab().toImage()
    return str(picture.pixelColor(picture.width() // 2, picture.height() // 2).name())


def layer_color(window: Any, name: str, label: int) -> list[int]:
    rgba = window.viewer.layers[name].get_color(label)
    return [round(float(part) * 255) for part in rgba[:3]]


def test_a_click_on_a_swatch_changes_the_colour_everywhere(open_window, engine):
    window = open_window()
    window.begin()
    assert swatch_color(window, 2) == "#56b4e9"
    QTimer.singleShot(0, lambda: answer_dialog("#0a14c8"))
    click(window, f"{SWATCH}_2")
    assert window.controller.session.classes[1].color == "#0a14c8"
    assert swatch_color(window, 2) == "#0a14c8"
    for name in ("Human mask", "Proposal"):
        assert layer_color(window, name, 2) == [10, 20, 200]
        assert layer_color(window, name, 1) == [0xE6, 0x9F, 0x00]
    assert window.status == "Class 2 is class 2, shown in #0a14c8."
    QTimer.singleShot(0, lambda: answer_dialog(None))
    click(window, f"{SWATCH}_2")
    assert swatch_color(window, 2) == "#0a14c8"

    # What is drawn looks so, and work goes on in the same session.
    layer = window.activate("Human mask", "paint")
    layer.selected_label = 2
    window.stroke((20, 10), (20, 20))
    assert np.any(window.case.human.labels == 2)
    window.begin()
    assert window.controller.session.classes[1].color == "#0a14c8"


def test_a_project_keeps_a_new_name_and_colour(open_window, engine, folder: Path, monkeypatch):
    window = open_window()
    enter(window, folder)
    window.begin()
    monkeypatch.setattr(_questions, "color", lambda *_: "#0a14c8")
    click(window, f"{SWATCH}_1")
    monkeypatch.setattr(_questions, "text", lambda *_: "lumen & wall")
    click(window, f"{NAME}_1")
    monkeypatch.setattr(_questions, "text", lambda *_: "class 2")
    click(window, f"{NAME}_1")
    assert window.status.startswith("Problem: Two classes of a project have the same id or")
    assert window.assistant.task_form.choice().classes == ("lumen & wall", "class 2")
    window.begin()
    window.end()
    with Project.open(folder, read_only=True) as project:
        first = project.session.classes[0]
    assert (first.id, first.name, first.color) == (1, "lumen & wall", "#0a14c8")
