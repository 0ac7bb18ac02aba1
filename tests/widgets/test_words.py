"""Words in the dock: which of them ask for a new layout."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.gui, pytest.mark.both]

LONG = "So many words that they need a second line, and then some more for a third. " * 2


@pytest.fixture
def shown(qtbot):
    """Return words in a column 300 pixels wide, and where it notes how often it is laid out."""
    from qtpy.QtCore import QEvent
    from qtpy.QtWidgets import QVBoxLayout, QWidget

    from napari_crii.widgets.words import Words

    class Column(QWidget):
        asked = 0

        def event(self, event):
            self.asked += event.type() == QEvent.Type.LayoutRequest
            return super().event(event)

    column, words = Column(), Words("saved 14:32:05", "said")
    layout = QVBoxLayout(column)
    layout.addWidget(words)
    layout.addStretch(1)
    column.resize(300, 200)
    qtbot.addWidget(column)
    column.show()
    qtbot.waitExposed(column)
    qtbot.wait(20)
    column.asked = 0
    return column, words


def test_words_of_the_same_size_cost_no_layout(shown, qtbot):
    column, words = shown
    for seconds in range(6, 10):
        words.show_words(f"saved 14:32:0{seconds}")
        qtbot.wait(5)
    assert column.asked == 0
    assert words.label.text() == "saved 14:32:09"


def test_a_clock_is_not_even_measured(shown, qtbot, monkeypatch):
    _, words = shown
    words.show_words("saved 14:32:06")
    qtbot.wait(5)
    measured = []
    room = words._room
    monkeypatch.setattr(words, "_room", lambda: measured.append(1) or room())
    words.show_words("saved 14:32:07")
    qtbot.wait(5)
    assert not measured
    words.show_words("saved at last")
    qtbot.waitUntil(lambda: bool(measured))


def test_words_that_need_more_lines_get_them_and_give_them_back(shown, qtbot):
    column, words = shown
    low = words.height()
    words.show_words(LONG)
    qtbot.waitUntil(lambda: words.height() >= 2 * low)
    assert words.label.geometry() == words.rect()
    assert words.height() >= words.label.heightForWidth(words.width())
    words.show_words("few")
    qtbot.waitUntil(lambda: words.height() == low)
    assert column.asked >= 2


def test_words_that_are_resized_before_they_are_measured_get_their_lines_all_the_same(shown, qtbot):
    _, words = shown
    low = words.height()
    words.show_words(LONG)
    words.resize(words.width() - 1, low)
    qtbot.waitUntil(lambda: words.height() >= words.label.heightForWidth(words.width()))


def test_a_larger_font_gets_its_room(shown, qtbot):
    _, words = shown
    low = words.height()
    words.label.setStyleSheet("font-size: 40px;")
    qtbot.waitUntil(lambda: words.height() > low)
    assert words.height() >= words.label.heightForWidth(words.width())


def test_no_words_take_no_room(shown, qtbot):
    from qtpy.QtWidgets import QLabel

    column, words = shown
    words.show_words("")
    assert not words.isVisible()
    words.show_words(LONG)
    qtbot.waitUntil(lambda: words.height() >= words.label.heightForWidth(words.width()))
    assert column.findChild(QLabel, "said").isVisible()
