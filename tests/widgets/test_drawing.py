"""Mouse strokes on the canvas: what becomes of the proposal, the human mask and the session."""

from __future__ import annotations

import numpy as np
import pytest

from napari_crii.session import Act, SliceStatus
from tests.widgets.conftest import proposal

pytestmark = pytest.mark.gui

SLICE = 3
# Rows and columns: the proposal is the rectangle from (10, 12) to (20, 25).
INSIDE, ASIDE = (15, 18), (32, 10)


@pytest.fixture
def window(open_window, engine):
    window = open_window()
    window.propose(engine.last)
    window.show(SLICE)
    window.activate("Human mask").selected_label = 2
    return window


@pytest.fixture
def start():
    return proposal(SLICE).labels


def human(window):
    return window.data("Human mask")[SLICE]


def assert_one_act(window, start):
    """What stands is one undoable act on the proposal: undo brings back how it began."""
    assert [c.act for c in window.case.corrections] == [Act.TAKE, Act.DRAW]
    assert np.array_equal(window.case.human.labels[SLICE], human(window))
    assert not window.data("Proposal")[SLICE].any()
    window.controller.undo()
    assert window.case.status(SLICE) is SliceStatus.UNTOUCHED
    assert not window.case.corrections
    assert not human(window).any()
    assert np.array_equal(window.data("Proposal")[SLICE], start)


@pytest.mark.both
def test_a_brush_stroke_on_an_untouched_slice_starts_from_the_proposal(window, start):
    window.activate("Human mask", "paint")
    window.stroke(ASIDE, (32, 14), (32, 20))
    stroke = human(window) == 2
    assert stroke[32, 10:20].all()
    assert np.array_equal(human(window)[~stroke], start[~stroke])
    assert_one_act(window, start)


def test_the_eraser_takes_from_the_proposal(window, start):
    window.activate("Human mask", "erase")
    window.stroke(INSIDE, (15, 22))
    erased = (start == 1) & (human(window) == 0)
    assert erased[15, 18:22].all()
    assert 0 < human(window).sum() < start.sum()
    assert_one_act(window, start)


def test_filling_replaces_a_region_of_the_proposal(window, start):
    window.activate("Human mask", "fill")
    window.stroke(INSIDE)
    assert np.array_equal(human(window), 2 * start)
    assert_one_act(window, start)


def test_a_polygon_is_one_act(window, start):
    layer = window.activate("Human mask", "polygon")
    for corner in ((26, 5), (26, 30), (36, 30)):
        window.stroke(corner)
        window.qtbot.wait(400)
    layer._overlays["polygon"].add_polygon_to_labels(layer)
    assert (human(window) == 2).sum() > 50
    assert np.array_equal(human(window)[:22], start[:22])
    assert_one_act(window, start)


@pytest.mark.both
def test_encircling_with_the_right_button_is_one_act(window, start):
    from tests.widgets.driver import RIGHT

    window.activate("Human mask", "paint").brush_size = 2
    window.stroke((26, 8), button=RIGHT)
    for point in ((26, 16), (26, 24), (34, 24), (34, 8), (26, 8)):
        window.move(point)
    drawn = human(window) == 2
    assert drawn[27:33, 10:22].all()
    assert_one_act(window, start)


def test_a_second_stroke_is_a_second_act(window, start):
    window.activate("Human mask", "paint")
    window.stroke(ASIDE, (32, 14))
    first = human(window).copy()
    window.stroke((34, 30), (34, 36))
    assert [c.act for c in window.case.corrections] == [Act.TAKE, Act.DRAW, Act.DRAW]
    window.controller.undo()
    assert np.array_equal(human(window), first)
    window.controller.redo()
    assert human(window)[34, 30:36].all()


@pytest.mark.both
def test_a_stroke_that_ends_on_another_slice_is_kept(window, start):
    window.activate("Human mask", "paint")
    window.stroke(ASIDE, (32, 14), release=False)
    window.show(SLICE + 1)
    window.release((32, 14))
    assert window.case.status(SLICE) is SliceStatus.EDITED
    assert np.array_equal(window.case.human.labels[SLICE], human(window))
    assert (human(window)[32, 10:14] == 2).all()


def test_a_label_that_is_no_class_is_refused_and_the_slice_stays_as_it_was(window, start):
    window.activate("Human mask", "paint").selected_label = 7
    window.stroke(INSIDE, (15, 22))
    assert "There is no class 7" in window.status
    assert np.array_equal(human(window), start)


def test_painting_through_slices_adds_to_every_proposal(window, start):
    layer = window.activate("Human mask", "paint")
    layer.n_edit_dimensions = 3
    window.stroke(ASIDE, (32, 12))
    touched = window.case.slices_with(SliceStatus.EDITED)
    assert len(touched) > 1
    for index in touched:
        drawn = window.case.human.labels[index]
        assert np.array_equal(drawn, window.data("Human mask")[index])
        assert np.array_equal(drawn[drawn != 2], start[drawn != 2])


def test_a_stroke_across_slices_seen_from_the_side_is_kept(window, start):
    window.activate("Human mask", "paint")
    window.viewer.dims.order = (1, 0, 2)
    window.viewer.reset_view()
    window.viewer.dims.set_current_step(1, 32)
    window.viewer.layers["Human mask"].paint((2, 32, 10), 2)
    touched = window.case.slices_with(SliceStatus.EDITED)
    assert 2 in touched
    assert np.array_equal(window.case.human.labels[touched], window.data("Human mask")[touched])
    assert (window.case.human.labels[2] == 1).sum() == start.sum()


def test_a_late_proposal_leaves_a_touched_slice_alone(window, engine, start):
    window.activate("Human mask", "paint")
    window.assistant.propose(True)
    window.until(lambda: len(engine.last.asked) == 2)
    window.stroke(ASIDE, (32, 14))
    drawn = human(window).copy()
    engine.last.answer("second")
    window.until(lambda: window.case.proposals.checkpoint(SLICE + 1) == "second")
    window.qtbot.wait(50)
    assert window.case.proposals.checkpoint(SLICE) == "first"
    assert np.array_equal(human(window), drawn)
    assert np.array_equal(window.case.human.labels[SLICE], drawn)
    assert not window.data("Proposal")[SLICE].any()


def test_a_proposal_that_arrives_in_the_middle_of_a_stroke_changes_nothing(window, start):
    window.activate("Human mask", "paint")
    window.stroke(ASIDE, (32, 14), release=False)
    drawn = human(window).copy()
    window.controller.network._on_proposal(proposal(SLICE, digest="late"))
    assert np.array_equal(human(window), drawn)
    window.release((32, 14))
    assert_one_act(window, start)
