"""The classes in the dock: id, colour and name; a click changes the colour or the name."""

from __future__ import annotations

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QGridLayout, QLabel, QPushButton, QWidget

from napari_crii.classes import LabelClass
from napari_crii.errors import CriiError
from napari_crii.session.looks import restyle, restyled
from napari_crii.widgets import _questions
from napari_crii.widgets.controller import AssistantController
from napari_crii.widgets.forms import TaskForm
from napari_crii.widgets.sentences import as_sentence

SWATCH, NAME = "crii_class_color", "crii_class_name"


class ClassList(QWidget):
    """Shows classes, one a row; tells which one's colour or name was clicked."""

    color_clicked = Signal(int)
    name_clicked = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setVerticalSpacing(2)
        self._grid.setColumnStretch(2, 1)
        self._rows: dict[int, tuple[QPushButton, QPushButton]] = {}
        self.setVisible(False)

    def show_classes(self, classes: tuple[LabelClass, ...]) -> None:
        """Show these classes and no others."""
        # The row that was clicked lives on while its click is answered.
        if list(self._rows) != [one.id for one in classes]:
            self._rebuild(classes)
        for one in classes:
            _dress(one, *self._rows[one.id])
        self.setVisible(bool(classes))

    def _rebuild(self, classes: tuple[LabelClass, ...]) -> None:
        while (item := self._grid.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        self._rows = {one.id: self._row(one.id) for one in classes}
        for row, (label, buttons) in enumerate(self._rows.items()):
            for column, widget in enumerate((QLabel(str(label)), *buttons)):
                self._grid.addWidget(widget, row, column)

    def _row(self, label: int) -> tuple[QPushButton, QPushButton]:
        swatch, name = QPushButton(), QPushButton()
        swatch.setObjectName(f"{SWATCH}_{label}")
        swatch.setFixedSize(26, 16)
        swatch.clicked.connect(lambda _checked=False: self.color_clicked.emit(label))
        name.setObjectName(f"{NAME}_{label}")
        name.setStyleSheet("text-align: left; border: none; background: transparent;")
        name.setToolTip("Click to rename the class")
        name.clicked.connect(lambda _checked=False: self.name_clicked.emit(label))
        return swatch, name


def _dress(one: LabelClass, swatch: QPushButton, name: QPushButton) -> None:
    """Show a class's colour and name, where they are not shown already."""
    # An ampersand in the text of a button would underline the next letter.
    name.setText(one.name.replace("&", "&&"))
    swatch.setAccessibleName(f"Colour of {one.name}: {one.color}")
    if one.color not in swatch.toolTip():
        swatch.setStyleSheet(f"background-color: {one.color}; border: 1px solid #808080;")
        swatch.setToolTip(f"{one.color}: click to choose another colour")


class ClassEditing(QObject):
    """Asks for a class's new colour or name, and brings it to session, project, layers and form.

    Parameters
    ----------
    shown
        The list in the dock.
    controller
        Whose session it is.
    form
        Where the names are entered.
    """

    def __init__(self, shown: ClassList, controller: AssistantController, form: TaskForm) -> None:
        super().__init__(shown)
        self._list = shown
        self._controller = controller
        self._form = form
        shown.color_clicked.connect(self._recolor)
        shown.name_clicked.connect(self._rename)

    def _recolor(self, label: int) -> None:
        one = self._class(label)
        color = _questions.color(self._list, f"Colour of {one.name}", one.color)
        if color is not None:
            self._change(label, color=color)

    def _rename(self, label: int) -> None:
        one = self._class(label)
        name = _questions.text(self._list, "Rename a class", f"Name of class {label}:", one.name)
        if name:
            self._change(label, name=name)

    def _class(self, label: int) -> LabelClass:
        session = self._controller.session
        assert session is not None
        return next(c for c in session.classes if c.id == label)

    def _change(self, label: int, *, name: str = "", color: str = "") -> None:
        session, project = self._controller.session, self._controller.sitting.project
        assert session is not None
        try:
            classes = restyled(session.classes, label, name=name, color=color)
            restyle(session, project, classes)
        except CriiError as error:
            self._controller.say(as_sentence(str(error)), True)
            return
        if self._controller.binding is not None:
            self._controller.binding.recolor(classes)
        if name:
            self._form.enter_classes(tuple(c.name for c in classes))
        one = self._class(label)
        self._list.show_classes(classes)
        self._controller.say(f"Class {label} is {one.name}, shown in {one.color}.")
