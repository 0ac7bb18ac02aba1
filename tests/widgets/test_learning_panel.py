"""The panel of learning in a real window, with a trainer that says what it is told to say."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtWidgets import (
    QApplication,
    QComboBox,
    QProgressBar,
    QPushButton,
    QScrollArea,
)

from napari_crii.engine.messages import (
    Failed,
    LearningChecked,
    LearningFinished,
    LearningStepped,
    Notice,
    Ready,
)
from napari_crii.widgets import _questions
from napari_crii.widgets.curve_view import CurveView
from napari_crii.widgets.learning_words import LearningMode
from tests.widgets.panels import accept, panel, seen, told
from tests.widgets.projects import enter, open_scan

pytestmark = pytest.mark.gui
AUTOMATIC, ASK, MANUAL = LearningMode


def test_learning_by_itself_starts_with_the_slice_that_is_accepted(window, trainer):
    window.pick(panel(window).mode, 0)
    accept(window, 2)
    assert len(trainer.made) == 1
    assert len(trainer.last.snapshot.slices) == 1
    accept(window, 3)
    assert len(trainer.made) == 1
    trainer.last.say(LearningFinished("completed", str(window.assistant.task().checkpoint), ""))
    # What was accepted meanwhile comes next.
    window.until(lambda: len(trainer.made) == 2)
    assert len(trainer.last.snapshot.slices) == 2


def test_asked_first_it_offers_and_learns_only_when_told(window, trainer):
    window.pick(panel(window).mode, 1)
    assert window.controller.network.mode is ASK
    accept(window, 1, 2, 3)
    assert not trainer.made
    assert QApplication.activeModalWidget() is None
    window.until(lambda: seen(panel(window).box, "Learn from 3 new slices now?"))
    window.controller.undo()
    window.until(lambda: seen(panel(window).box, "Learn from 2 new slices now?"))
    window.click(panel(window).learn)
    assert len(trainer.last.snapshot.slices) == 2
    window.until(lambda: not seen(panel(window).box, "now?"))
    trainer.last.say(LearningFinished("completed", str(window.assistant.task().checkpoint), ""))
    window.until(lambda: not window.controller.state.learning.running)
    assert not panel(window).learn.isEnabled()
    accept(window, 4)
    window.until(lambda: seen(panel(window).box, "Learn from 1 new slice now?"))


def test_by_hand_only_the_button_learns(window, trainer):
    assert window.controller.network.mode is MANUAL
    assert not panel(window).learn.isEnabled()
    accept(window, 1)
    assert not trainer.made
    window.until(panel(window).learn.isEnabled)
    window.click(panel(window).learn)
    assert len(trainer.made) == 1
    assert not panel(window).learn.isEnabled()


def test_when_it_learns_is_kept_by_the_project(open_window, engine, folder):
    window = open_window()
    enter(window, folder)
    window.pick(panel(window).mode, 1)
    window.end()
    again = open_window()
    assert again.controller.network.mode is MANUAL
    enter(again, folder)
    assert again.controller.network.mode is ASK
    assert panel(again).mode.currentText() == ASK.words


def test_work_in_memory_takes_its_choice_along_into_a_project(
    open_window, engine, tmp_path, scan, monkeypatch
):
    monkeypatch.setattr(_questions, "text", lambda *_: "ben")
    window = open_window()
    window.controller.network.mode = ASK
    open_scan(window, scan)
    window.controller.seed({1: np.ones((40, 50), dtype=np.uint8)})
    enter(window, tmp_path / "new")
    assert window.controller.sitting.project.records.settings["learning_mode"] == "ask"


def test_a_run_says_how_far_it_is_where_it_computes_and_what_happened(window, trainer):
    accept(window, 1, 2)
    window.click(panel(window).learn)
    say, box = trainer.last.say, panel(window).box
    assert seen(box, "Learning from 2 corrected slices, starting.")
    say(Ready("cpu"), *(LearningStepped(i, 60, 1.0, 812.0) for i in (1, 2, 30)))
    say(Notice("One slice was left out."))
    told(window)
    assert seen(box, "Learning from 2 corrected slices, about ")
    assert seen(box, "On the processor, 812 MB.")
    assert seen(box, "One slice was left out.")
    assert box.findChild(QProgressBar).value() == 30
    say(LearningFinished("refused", "", "", 0.9, 0.7, 3))
    window.until(lambda: seen(box, "made proposals worse: Dice 0.90 -> 0.70 on your 3 check"))
    assert seen(box, "It was refused: the network is as it was.")
    assert seen(box, "One slice was left out.")
    assert not seen(box, "On the processor")
    # What was refused was not learnt: the slices stay new.
    assert panel(window).learn.isEnabled()
    window.click(panel(window).learn)
    window.click(panel(window).more)
    assert seen(panel(window).details.box, "One slice was left out.")


def test_steps_are_told_together(window, trainer):
    accept(window, 1)
    window.click(panel(window).learn)
    learning, told_of = window.controller.network.learning, []
    trainer.last.say(LearningStepped(1, 500, 1.0))
    told(window)
    learning._soon.setInterval(10_000_000)
    window.controller.changed.connect(lambda: told_of.append(True))
    trainer.last.say(*(LearningStepped(i, 500, 1 / i, 5.0) for i in range(2, 300)))
    window.until(lambda: learning.progress.done == 299)
    assert not told_of
    learning._soon.start(0)
    window.until(lambda: panel(window).box.findChild(QProgressBar).value() == 299)
    assert len(told_of) == 1


def test_a_run_waits_goes_on_and_stops(window, trainer):
    accept(window, 1)
    group = panel(window)
    assert not group.pause.isEnabled()
    assert not group.stop.isEnabled()
    window.click(group.learn)
    trainer.last.say(LearningStepped(1, 60, 1.0), LearningStepped(2, 60, 1.0))
    told(window)
    window.click(group.pause)
    assert trainer.last.heard == [True]
    assert group.pause.text() == "Go on"
    # The step that was under way still arrives.
    trainer.last.say(LearningStepped(3, 60, 1.0))
    told(window)
    assert seen(group.box, "Paused: learning from 1 corrected slice waits after step 3 of 60.")
    window.click(group.pause)
    assert trainer.last.heard == [True, False]
    assert group.pause.text() == "Pause"
    assert seen(group.box, "Learning from 1 corrected slice, about ")
    window.click(group.pause)
    window.click(group.stop)
    trainer.last.say(LearningStepped(4, 60, 1.0))
    told(window)
    assert seen(group.box, "Stopping.")
    trainer.last.say(LearningFinished("stopped", "", ""))
    window.until(lambda: seen(group.box, "Learning was stopped. The network is as it was."))
    assert trainer.last.heard == [True, False, True, "stop", "close"]
    assert group.pause.text() == "Pause"
    assert not group.pause.isEnabled()


def test_time_that_was_waited_does_not_count(window, trainer, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("napari_crii.widgets.learning.time.monotonic", lambda: now[0])
    accept(window, 1)
    window.click(panel(window).learn)
    learning = window.controller.network.learning
    trainer.last.say(LearningStepped(1, 11, 1.0))
    told(window)
    now[0] += 4.0
    trainer.last.say(LearningStepped(2, 11, 1.0))
    told(window)
    assert learning.words.endswith("about 36 s left.")
    learning.pause(True)
    now[0] += 1000.0
    learning.pause(False)
    assert learning.words.endswith("about 36 s left.")


def test_the_curve_shows_loss_and_dice_in_two_colours_on_both_themes(window, trainer):
    accept(window, 1)
    window.click(panel(window).learn)
    trainer.last.say(*(LearningStepped(i, 60, 1 / i) for i in range(1, 61)))
    trainer.last.say(LearningChecked(0, 0.6, 3), LearningChecked(60, 0.9, 3))
    told(window)
    window.click(panel(window).more)
    view = panel(window).details.box.findChild(CurveView)
    for theme in ("dark", "light"):
        window.viewer.theme = theme
        window.qtbot.wait(100)
        loss, dice = view._colors
        found = colors_inside(view)
        assert loss.getRgb()[:3] in found
        assert dice.getRgb()[:3] in found
    assert view.height() == 90


def colors_inside(view):
    """Return the colours inside the frame of the curve, where no words are."""
    picture, frame = view.grab().toImage(), view._frame
    rows = range(int(frame.top()) + 2, int(frame.bottom()) - 1)
    columns = range(int(frame.left()) + 2, int(frame.right()) - 1)
    return {picture.pixelColor(x, y).getRgb()[:3] for y in rows for x in columns}


def test_a_problem_is_said_and_its_report_goes_to_the_clipboard(window, trainer, folder):
    QApplication.clipboard().clear()
    accept(window, 1)
    window.click(panel(window).learn)
    trainer.last.say(Ready("cuda"), Notice("phantom is large."))
    trainer.last.say(Failed(f"no room for '{folder / 'x.npz'}' of phantom"))
    window.until(lambda: not window.controller.state.learning.running)
    window.click(panel(window).more)
    assert seen(panel(window).details.box, "Learning failed: no room for")
    window.click(panel(window).details.copy)
    report = QApplication.clipboard().text()
    assert "Learning failed: no room for (removed) of (removed)." in report
    assert "(removed) is large." in report
    assert "Learning: On the graphics card." in report
    assert "napari-crii" in report
    for name in ("phantom", "hearts", str(folder), "x.npz"):
        assert name not in report


def test_everything_can_be_reached_in_a_low_window_and_tells_what_it_does(window, trainer):
    window.viewer.window._qt_window.resize(1280, 760)
    accept(window, 1)
    window.click(panel(window).learn)
    trainer.last.say(Notice("The graphics card ran out of memory. " * 3), Ready("cpu"))
    told(window)
    window.click(panel(window).more)
    box = panel(window).box
    # Unfolding scrolls there by itself.
    window.until(lambda: box.visibleRegion().boundingRect().height() == box.height())
    area = window.assistant.findChild(QScrollArea)
    # Nothing is cut off at the side.
    window.until(lambda: area.widget().width() <= area.viewport().width())
    kinds = (QPushButton, QComboBox, QProgressBar, CurveView)
    controls = [control for kind in kinds for control in box.findChildren(kind)]
    assert len(controls) == 10
    assert all(control.toolTip() for control in controls)
    window.click(panel(window).more)
    assert not panel(window).details.box.isVisible()


def test_learning_makes_room_for_proposals(window, engine, trainer):
    window.pick(panel(window).mode, 0)
    accept(window, 2)
    trainer.last.say(Ready("cpu"))
    window.assistant.propose(whole_volume=True)
    window.until(lambda: trainer.last.heard == [True])
    # The user's own pause outlasts the proposals.
    window.click(panel(window).pause)
    engine.last.answer()
    window.until(lambda: not window.controller.network.proposing.progress.running)
    assert trainer.last.heard == [True]
    window.click(panel(window).pause)
    assert trainer.last.heard == [True, False]
    window.assistant.propose(whole_volume=True)
    assert trainer.last.heard == [True, False, True]
    window.controller.cancel_proposals()
    assert trainer.last.heard == [True, False, True, False]
