"""The learning curve as a small picture: the loss on the left scale, Dice on the right one."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QFontMetricsF, QPainter, QPaintEvent, QPalette, QPen, QPolygonF
from qtpy.QtWidgets import QWidget

from napari_crii.widgets.curve import LearningCurve, Point, span, thinned

HEIGHT = 90
TIP = (
    "Thin line, left scale: the loss, by which the network is wrong on your corrected slices; "
    "it should fall. Dots, right scale: Dice on your check slices, which it does not learn from; "
    "it should rise. 1 is perfect."
)
# Okabe and Ito's colours, told apart by the colour-blind, for dark and for light themes.
_ON_DARK = (QColor("#56b4e9"), QColor("#e69f00"))
_ON_LIGHT = (QColor("#0072b2"), QColor("#b34700"))
_LEAST_LOSS, _LEAST_DICE = 0.01, 0.1
_ALIGN = Qt.AlignmentFlag
Ends = tuple[float, float]


class CurveView(QWidget):
    """Paints the curve of one run."""

    def __init__(self) -> None:
        super().__init__()
        self.setFixedHeight(HEIGHT)
        self.setToolTip(TIP)
        self._curve = LearningCurve()

    def show_curve(self, curve: LearningCurve) -> None:
        """Show a curve as it stands now; painted with the rest of the window."""
        self._curve = curve
        self.update()

    def paintEvent(self, _event: QPaintEvent | None) -> None:
        """Paint the frame and what is written around it, then both lines."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        curve, frame = self._curve, self._frame
        losses = thinned(curve.losses, max(2, int(frame.width()) // 2))
        left = span([loss for _, loss in losses], _LEAST_LOSS)
        right = span([dice for _, dice in curve.checks], _LEAST_DICE)
        self._paint_words(
            painter, left if len(losses) > 1 else None, right if curve.checks else None
        )
        inside = frame.adjusted(4, 4, -4, -4)
        loss_color, dice_color = self._colors
        painter.setPen(QPen(loss_color, 1.5))
        painter.drawPolyline(QPolygonF(_placed(losses, inside, curve.total, left)))
        dots = _placed(curve.checks, inside, curve.total, right)
        painter.setPen(QPen(dice_color, 1.5, Qt.PenStyle.DashLine))
        painter.drawPolyline(QPolygonF(dots))
        painter.setBrush(dice_color)
        for dot in dots:
            painter.drawEllipse(dot, 3.0, 3.0)
        painter.end()

    def _paint_words(self, painter: QPainter, left: Ends | None, right: Ends | None) -> None:
        frame, line = self._frame, self._line
        loss_color, dice_color = self._colors
        faint = QColor(self._ink)
        faint.setAlphaF(0.3)
        painter.setPen(faint)
        painter.drawRect(frame)
        above = QRectF(0, 0, self.width(), line)
        _write(painter, above, _ALIGN.AlignLeft, loss_color, "\u2014 loss")
        _write(painter, above, _ALIGN.AlignRight, dice_color, "Dice on check slices \u25cf")
        below = QRectF(frame.left(), frame.bottom() + 1, frame.width(), line)
        _write(painter, below, _ALIGN.AlignLeft, self._ink, "step 0")
        _write(painter, below, _ALIGN.AlignRight, self._ink, str(self._curve.total or ""))
        beside = QRectF(0, frame.top(), frame.left() - 4, frame.height())
        _scale(painter, beside, _ALIGN.AlignRight, loss_color, left)
        beside.moveLeft(frame.right() + 4)
        _scale(painter, beside, _ALIGN.AlignLeft, dice_color, right)

    @property
    def _line(self) -> float:
        return QFontMetricsF(self.font()).height()

    @property
    def _frame(self) -> QRectF:
        margin = QFontMetricsF(self.font()).horizontalAdvance("0.000") + 6
        height = self.height() - 2 * self._line - 4
        return QRectF(margin, self._line + 2, self.width() - 2 * margin, height)

    @property
    def _ink(self) -> QColor:
        return self.palette().color(QPalette.ColorRole.WindowText)

    @property
    def _colors(self) -> tuple[QColor, QColor]:
        """Of the loss and of Dice; light ink stands on a dark theme."""
        return _ON_DARK if self._ink.lightnessF() > 0.5 else _ON_LIGHT


def _write(
    painter: QPainter, place: QRectF, side: Qt.AlignmentFlag, color: QColor, text: str
) -> None:
    painter.setPen(color)
    painter.drawText(place, int(side | _ALIGN.AlignTop), text)


def _scale(
    painter: QPainter,
    place: QRectF,
    side: Qt.AlignmentFlag,
    color: QColor,
    ends: Ends | None,
) -> None:
    """Write the ends of a scale beside the frame."""
    if ends is None:
        return
    painter.setPen(color)
    painter.drawText(place, int(side | _ALIGN.AlignBottom), f"{ends[0]:.2f}")
    painter.drawText(place, int(side | _ALIGN.AlignTop), f"{ends[1]:.2f}")


def _placed(points: Sequence[Point], frame: QRectF, total: int, ends: Ends) -> list[QPointF]:
    """Return points (step, value) as places in a frame."""
    across = frame.width() / max(1, total)
    up = frame.height() / (ends[1] - ends[0])
    return [
        QPointF(frame.left() + x * across, frame.bottom() - (y - ends[0]) * up) for x, y in points
    ]
