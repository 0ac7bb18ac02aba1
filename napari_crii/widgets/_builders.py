"""The small parts that the dock is built of."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QComboBox,
    QGroupBox,
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_crii.widgets.state import Progress


def button(text: str, tooltip: str, pressed: object) -> QPushButton:
    """Return a push button."""
    made = QPushButton(text)
    made.setToolTip(tooltip)
    made.clicked.connect(lambda _checked=False: pressed())  # type: ignore[operator]
    return made


def show_tip(widget: QWidget, tip: str) -> None:
    """Show a tooltip; one that is set again is worked through again, though it says the same."""
    if tip != widget.toolTip():
        widget.setToolTip(tip)


def row(*widgets: QWidget) -> QWidget:
    """Return widgets side by side."""
    made = QWidget()
    layout = QHBoxLayout(made)
    layout.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        layout.addWidget(widget)
    return made


def combo(tip: str) -> QComboBox:
    """Return a list that never makes the dock wider than it is."""
    made = QComboBox()
    made.setToolTip(tip)
    made.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    made.setMinimumContentsLength(12)
    made.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return made


def group(title: str, *widgets: QWidget) -> QGroupBox:
    """Return widgets under a title."""
    made = QGroupBox(title)
    layout = QVBoxLayout(made)
    layout.setContentsMargins(8, 4, 8, 4)
    layout.setSpacing(3)
    for widget in widgets:
        layout.addWidget(widget)
    return made


def scrolled(*widgets: QWidget) -> QScrollArea:
    """Return widgets one below the other, scrolled up and down where there is no room for all.

    The area is never narrower than what it holds: nothing is cut off at its side.
    """
    content, area = QWidget(), QScrollArea()
    layout = QVBoxLayout(content)
    layout.setContentsMargins(6, 6, 6, 6)
    layout.setSpacing(4)
    for widget in widgets:
        layout.addWidget(widget)
    layout.addStretch(1)
    area.setWidget(content)
    area.setWidgetResizable(True)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    bar = area.verticalScrollBar()
    assert bar is not None

    def widen() -> None:
        beside = bar.sizeHint().width() + 2 * area.frameWidth()
        area.setMinimumWidth(content.minimumSizeHint().width() + beside)

    # The range follows the height of the content, which another theme or layout changes as well.
    bar.rangeChanged.connect(lambda _least, _most: widen())
    widen()
    return area


def show_progress(bar: QProgressBar, progress: Progress) -> None:
    """Show a progress; an idle bar is empty and keeps its place: a new layout costs a repaint.

    `setValue` paints the whole window at once, the canvas with it; without updates it leaves the
    paint to the event loop.
    """
    shown = ("%p%" if progress.running else "", max(1, progress.total), progress.done)
    if shown == (bar.format(), bar.maximum(), bar.value()):
        return
    bar.setUpdatesEnabled(False)
    bar.setFormat(shown[0])
    bar.setMaximum(shown[1])
    bar.setValue(shown[2])
    bar.setUpdatesEnabled(True)
