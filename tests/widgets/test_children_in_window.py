"""The window with its real children: proposing, learning, and their end."""

from __future__ import annotations

import numpy as np
import psutil
import pytest

from napari_crii.checkpoint_info import read_checkpoint_info
from napari_crii.session import SliceStatus
from napari_crii.widgets.learning import LearningPlan
from napari_crii.widgets.learning_words import LearningMode
from tests.widgets.conftest import children, proposal, save_small, serving_threads

pytestmark = [pytest.mark.gui, pytest.mark.timeout(300), pytest.mark.alone]


def propose(window):
    window.assistant.propose(True)
    window.until(lambda: window.status.startswith(("Proposed", "Problem")))
    assert not window.controller.state.is_error, window.status


def accept(window, *indices):
    for index in indices:
        window.show(index)
        window.controller.accept_slice()
        assert window.case.status(index) is SliceStatus.ACCEPTED


def test_a_volume_is_proposed_corrected_and_learnt_from(open_window, weights):
    window = open_window()
    first = read_checkpoint_info(weights).digest
    window.show(3)
    assert order_of_arrival(window) == [3, 2, 4, 1, 5, 0]
    assert digests(window, range(6)) == {first}
    assert np.array_equal(window.data("Proposal"), window.case.proposals.labels)
    features = window.viewer.layers["Patches to check"].features
    assert len(features) == len(window.controller.review.patches) > 0
    assert set(features["reason"]) <= {"region", "boundary", "low contrast"}

    accept(window, 1, 4)
    accepted = window.data("Human mask")[[1, 4]].copy()
    window.controller.learn(LearningPlan(weights, iterations=3, learning_rate=1e-2))
    assert window.controller.state.learning.running
    window.until(lambda: "Learnt from 2 corrected slices" in window.controller.state.learned)
    untouched = [0, 2, 3, 5]
    window.until(lambda: first not in digests(window, untouched))
    window.until(lambda: window.status.startswith("Proposed"))
    assert len(digests(window, untouched)) == 1
    assert digests(window, [1, 4]) == {first}
    assert np.array_equal(window.data("Human mask")[[1, 4]], accepted)
    assert np.array_equal(window.case.human.labels[[1, 4]], accepted)
    assert window.case.slices_with(SliceStatus.ACCEPTED) == [1, 4]
    # Nothing is new: accepting has to come first before more is learnt.
    window.controller.learn()
    assert not window.controller.state.learning.running


def order_of_arrival(window):
    """Propose everything; return the slices in the order in which they arrived."""
    window.begin()
    publish, arrived = window.case.publish, []
    window.case.publish = lambda made: arrived.append(made.slice) or publish(made)
    propose(window)
    del window.case.publish
    return arrived


def digests(window, indices):
    return {window.case.proposals.checkpoint(i) for i in indices}


def test_learning_that_is_stopped_leaves_the_network_as_it_was(open_window, engine, weights):
    window = open_window()
    window.propose(engine.last)
    accept(window, 2)
    window.controller.learn(LearningPlan(weights, iterations=100_000))
    window.until(lambda: window.controller.state.learning.total == 100_000)
    (trainer,) = children()
    window.assistant.learning_group.stop.click()
    window.until(lambda: not window.controller.state.learning.running)
    assert window.controller.state.learned == "Learning was stopped. The network is as it was."
    assert engine.last.checkpoints == [weights]
    assert len(engine.last.asked) == 1
    window.until(lambda: not trainer.is_running() or trainer.status() == psutil.STATUS_ZOMBIE)
    assert window.case.status(2) is SliceStatus.ACCEPTED


def test_accepting_starts_learning_and_its_failure_is_said(open_window, engine, tmp_path):
    path = save_small(tmp_path / "gone.safetensors", seed=3)
    window = open_window(checkpoint=path)
    window.propose(engine.last)
    window.controller.network.mode = LearningMode.AUTOMATIC
    path.write_bytes(b"overwritten")
    window.show(2)
    window.controller.accept_slice()
    assert "gone.safetensors is not a checkpoint" in window.status
    assert not window.controller.state.learning.running
    assert window.case.status(2) is SliceStatus.ACCEPTED


def test_a_checkpoint_that_turns_wrong_is_one_sentence_and_the_engine_goes_on(
    open_window, tmp_path, weights
):
    path = save_small(tmp_path / "turned.safetensors", seed=4)
    window = open_window(checkpoint=path)
    task = window.assistant.task()
    path.write_bytes(b"overwritten")
    window.controller.propose(task, whole_volume=True)
    window.until(lambda: window.controller.state.is_error)
    assert "turned.safetensors" in window.status
    assert "\n" not in window.status
    window.assistant.enter("phantom", weights, task.classes)
    propose(window)


def test_killed_children_are_replaced_and_finish_what_they_were_at(open_window, weights):
    window = open_window()
    propose(window)
    accept(window, 2)
    window.controller.learn(LearningPlan(weights, iterations=40))
    window.until(lambda: window.controller.state.learning.done > 0)
    killed = {child.pid for child in children()}
    assert len(killed) == 2
    for child in children():
        child.kill()
    window.assistant.propose(True)
    window.until(lambda: window.status.startswith("Proposed"))
    window.until(lambda: "Learnt from 1 corrected slice" in window.controller.state.learned)
    assert "Learning ended unexpectedly and began anew." in window.controller.state.panel.remarks
    assert not killed & {child.pid for child in children()}


def test_closing_the_window_ends_both_children(open_window, weights):
    window = open_window()
    window.begin()
    window.controller.network._on_proposal(proposal(2))
    accept(window, 2)
    window.controller.learn(LearningPlan(weights, iterations=100_000))
    window.assistant.propose(True)
    window.until(lambda: window.controller.state.learning.total == 100_000)
    assert len(children()) == 2
    window.viewer.close()
    window.qtbot.waitUntil(lambda: not children(), timeout=10_000)


def test_the_end_of_the_application_ends_both_children(open_window, weights):
    from qtpy.QtWidgets import QApplication

    window = open_window()
    window.begin()
    window.controller.network._on_proposal(proposal(2))
    accept(window, 2)
    window.controller.learn(LearningPlan(weights, iterations=100_000))
    window.until(lambda: len(children()) == 2)
    QApplication.instance().aboutToQuit.emit()
    window.qtbot.waitUntil(lambda: not children(), timeout=10_000)
    window.qtbot.waitUntil(lambda: not serving_threads(), timeout=10_000)
    # Again, as when the widget is destroyed afterwards.
    window.controller.close()


def test_closing_the_dock_ends_the_engine_and_leaves_the_masks(open_window, qtbot):
    window = open_window()
    window.begin()
    window.controller.network._on_proposal(proposal(2))
    accept(window, 2)
    window.until(lambda: len(children()) == 1)
    viewer = window.viewer
    viewer.window.remove_dock_widget(window.assistant)
    window.assistant.deleteLater()
    qtbot.waitUntil(lambda: not children(), timeout=10_000)
    from tests.widgets.driver import Qt

    window.key(Qt.Key.Key_N)
    window.key(Qt.Key.Key_K)
    window.show(1)
    viewer.layers["Human mask"].paint((2, 30, 10), 2)
    viewer.layers["phantom"].name = "head"
    viewer.add_image(np.zeros((3, 4, 5)))
    assert viewer.layers["Human mask"].data[2].any()
    window.end = lambda: None
