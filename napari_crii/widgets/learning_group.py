"""The group of the dock that tells of learning and steers it."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtWidgets import (
    QApplication,
    QLabel,
    QProgressBar,
    QVBoxLayout,
    QWidget,
)

from napari_crii.session.weights import PublishedWeights
from napari_crii.widgets._builders import (
    button,
    combo,
    group,
    row,
    show_progress,
    show_tip,
)
from napari_crii.widgets.controller import AssistantController
from napari_crii.widgets.curve_view import CurveView
from napari_crii.widgets.learning_words import LearningMode, weights_in_words
from napari_crii.widgets.state import AssistantState, LearningView
from napari_crii.widgets.weights_history import WeightsHistory
from napari_crii.widgets.words import Words


class LearningGroup:
    """When the network learns, how far it is, what came of it, and the way back.

    Parameters
    ----------
    controller
        Who learns.
    unfolded
        Called when more is shown than before.
    """

    def __init__(self, controller: AssistantController, unfolded: Callable[[], None]) -> None:
        self._controller = controller
        self._unfolded = unfolded
        network = controller.network
        self.mode = combo("When the network learns from slices that you accepted")
        for mode in LearningMode:
            self.mode.addItem(mode.words, mode.value)
        self.mode.activated.connect(self._on_mode)
        self.learn = button(
            "Learn now", "Learn from the accepted slices that are new", controller.learn
        )
        self.pause = button("Pause", "", self._on_pause)
        self.stop = button(
            "Stop",
            "Discard what is being learnt; the network stays as it was",
            network.learning.stop,
        )
        self.back = button("Roll back", "", lambda: network.roll_back())
        self.more = button("More", "", self._on_more)
        self._progress = QProgressBar()
        self._progress.setToolTip("How much of this update is learnt")
        self._offer, self._words, self._place, self._remarks = (Words() for _ in range(4))
        self._offer.label.setStyleSheet("font-weight: bold;")
        self.details = LearningDetails(controller)
        self._open(False)
        self.box = group(
            "5. Learning",
            row(QLabel("Learn"), self.mode, self.more),
            self._offer,
            row(self.learn, self.pause, self.stop, self.back),
            self._progress,
            self._words,
            self._remarks,
            self._place,
            self.details.box,
        )

    def render(self, state: AssistantState) -> None:
        """Show how far it is."""
        view, running = state.panel, state.learning.running
        self.mode.setCurrentIndex(list(LearningMode).index(view.mode))
        self._offer.show_words(view.offer)
        self._words.show_words(state.learned)
        self._remarks.show_words("\n".join(view.remarks[-2:]))
        self._place.show_words(view.place)
        show_progress(self._progress, state.learning)
        self.learn.setEnabled(view.can_learn)
        self.pause.setEnabled(running)
        self.pause.setText("Go on" if view.paused else "Pause")
        show_tip(
            self.pause,
            "Go on learning" if view.paused else "Let learning wait; nothing of it is lost",
        )
        self.stop.setEnabled(running)
        before = view.weights.before
        self.back.setEnabled(before is not None)
        show_tip(self.back, _back_in_words(before))
        if self.opened:
            self.details.render(view)

    def _on_mode(self, index: int) -> None:
        self._controller.network.mode = list(LearningMode)[index]

    def _on_pause(self) -> None:
        learning = self._controller.network.learning
        learning.pause(not learning.paused)

    def _on_more(self) -> None:
        self._open(not self.opened)
        if self.opened:
            self._unfolded()

    @property
    def opened(self) -> bool:
        """Whether what is seldom needed is shown."""
        return not self.details.box.isHidden()

    def _open(self, opened: bool) -> None:
        if opened:
            self.details.render(self._controller.state.panel)
        self.details.box.setVisible(opened)
        self.more.setText("Less" if opened else "More")
        self.more.setToolTip(
            "Fold this up again"
            if opened
            else "The learning curve, earlier versions of the network, and a report of problems"
        )


class LearningDetails:
    """What is seldom needed: the curve, the list of weights, the report."""

    def __init__(self, controller: AssistantController) -> None:
        self._controller = controller
        self.curve = CurveView()
        self.weights = combo(
            "What the network was after each update. Choosing one proposes with it anew; what you "
            "drew stays as it is"
        )
        self.weights.activated.connect(self._on_weights)
        self._listed: tuple[WeightsHistory, ...] = ()
        self._drawn: tuple[object, int] = (None, 0)
        self._noted, self._problem = Words(), Words()
        self.copy = button(
            "Copy report",
            "Copy versions, the last problem and the last remarks, without names of people, scans "
            "and files",
            self._on_copy,
        )
        self.box = QWidget()
        layout = QVBoxLayout(self.box)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        choice = row(QLabel("Version"), self.weights)
        for widget in (self.curve, choice, self._noted, self._problem, self.copy):
            layout.addWidget(widget)

    def render(self, view: LearningView) -> None:
        """Show what changed."""
        curve = self._controller.network.learning.curve
        if self._drawn != (curve, view.points):
            self._drawn = (curve, view.points)
            self.curve.show_curve(curve)
        if self._listed != (view.weights,):
            self._listed = (view.weights,)
            self._fill(view.weights)
        self._noted.show_words("\n".join(["Remarks before:", *view.noted] if view.noted else []))
        self._problem.show_words(f"Last problem: {view.problem}" if view.problem else "")

    def _fill(self, weights: WeightsHistory) -> None:
        in_use = weights.in_use
        self.weights.clear()
        for one in weights.entries:
            self.weights.addItem(weights_in_words(one, one == in_use), one.digest)
        self.weights.setCurrentIndex(-1 if in_use is None else weights.entries.index(in_use))
        self.weights.setEnabled(bool(weights.entries))

    def _on_weights(self, index: int) -> None:
        digest = str(self.weights.itemData(index))
        in_use = self._controller.network.weights.list.in_use
        if in_use is None or digest != in_use.digest:
            self._controller.network.roll_back(digest)

    def _on_copy(self) -> None:
        clipboard = QApplication.clipboard()
        assert clipboard is not None
        clipboard.setText(self._controller.network.report())
        self._controller.say("The report is on the clipboard.")


def _back_in_words(before: PublishedWeights | None) -> str:
    if before is None:
        return "There is no earlier version of the network to go back to"
    words = weights_in_words(before, False)
    return f"Back to the version before ({words}). What you drew stays as it is"
