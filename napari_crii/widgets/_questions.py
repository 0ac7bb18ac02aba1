"""Plain questions to the user."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtGui import QColor
from qtpy.QtWidgets import QColorDialog, QInputDialog, QMessageBox, QWidget


def agrees(parent: QWidget, title: str, question: str) -> bool:
    """Ask a question that is answered by yes or no; no is the answer that changes nothing."""
    yes, no = QMessageBox.StandardButton.Yes, QMessageBox.StandardButton.No
    return bool(QMessageBox.question(parent, title, question, yes | no, no) == yes)


def choice(parent: QWidget, title: str, question: str, answers: Sequence[str]) -> int | None:
    """Ask for one of several answers and return its index; None if the user thinks better of it."""
    answer, given = QInputDialog.getItem(parent, title, question, list(answers), 0, False)
    return list(answers).index(answer) if given else None


def number(parent: QWidget, title: str, question: str, last: int) -> int | None:
    """Ask for a number from 0 to `last`; None if the user thinks better of it."""
    answer, given = QInputDialog.getInt(parent, title, question, 0, 0, last)
    return int(answer) if given else None


def text(parent: QWidget, title: str, question: str, proposed: str = "") -> str | None:
    """Ask for a line of text, without blanks around it; None if the user thinks better of it."""
    answer, given = QInputDialog.getText(parent, title, question, text=proposed)
    return str(answer).strip() if given else None


def color(parent: QWidget, title: str, proposed: str) -> str | None:
    """Ask for a colour, ``#rrggbb``; None if the user thinks better of it."""
    # The same dialog on every system, and one that tests can drive.
    plain = QColorDialog.ColorDialogOption.DontUseNativeDialog
    answer = QColorDialog.getColor(QColor(proposed), parent, title, plain)
    return str(answer.name()) if answer.isValid() else None
