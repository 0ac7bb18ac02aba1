"""Words in the dock that change often, and its layout seldom."""

from __future__ import annotations

import re

from qtpy.QtCore import QEvent, QSize
from qtpy.QtGui import QResizeEvent
from qtpy.QtWidgets import QLabel, QSizePolicy, QWidget

_DIGIT = re.compile(r"\d")


class Words(QWidget):
    """Wrapped words; without any it takes no room.

    A label asks for a new layout with every new text, and each box around it does in turn: 1 ms of
    the window's thread, with every stroke. Here only words that need other room ask. Digits are
    taken to be equally wide, so that a clock that goes on is not even measured.

    Parameters
    ----------
    name
        Of the label, by which it is found.

    Attributes
    ----------
    label
        Which shows them.
    """

    def __init__(self, text: str = "", name: str = "") -> None:
        super().__init__()
        self.label = QLabel(text, self)
        self.label.setObjectName(name)
        self.label.setWordWrap(True)
        self._known = (0, 0)
        self._measured: tuple[str, str, int] | None = None
        policy = QSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    def show_words(self, words: str) -> None:
        """Show words in the place of those before."""
        self.label.setText(words)
        self.setVisible(bool(words))

    def event(self, event: QEvent | None) -> bool:
        """Ask for a new layout where the label does, if it needs other room than it has."""
        if event is not None and event.type() == QEvent.Type.LayoutRequest:
            self._measure()
        return bool(super().event(event))

    def changeEvent(self, event: QEvent | None) -> None:
        """Measure anew in another font or style."""
        self._measured = None
        super().changeEvent(event)

    def heightForWidth(self, width: int) -> int:
        """Return the height that the words need, in pixels."""
        return self.label.heightForWidth(width)

    def sizeHint(self) -> QSize:
        """Return the room that the words like best."""
        return self.label.sizeHint()

    def minimumSizeHint(self) -> QSize:
        """Return the room that the words need."""
        return self.label.minimumSizeHint()

    def resizeEvent(self, _event: QResizeEvent | None) -> None:
        """Give the label all the room there is."""
        self.label.setGeometry(self.rect())
        self._known = self._room()

    def _measure(self) -> None:
        """Ask for a new layout if the words need other room than they have."""
        measured = (_DIGIT.sub("0", self.label.text()), self.label.styleSheet(), self.width())
        if measured == self._measured:
            return
        self._measured = measured
        room = self._room()
        # Words that came just before a resize are known already, but have no room yet.
        if room != self._known or room[1] > self.height():
            self._known = room
            self.updateGeometry()

    def _room(self) -> tuple[int, int]:
        """Return the least width, and the height at the width there is."""
        return self.label.minimumSizeHint().width(), self.label.heightForWidth(self.width())
