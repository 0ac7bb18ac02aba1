"""What nobody plans and everybody meets: nothing that was done is lost, and a sentence says why."""

from __future__ import annotations

import errno
import shutil
import time

import numpy as np
import pytest
from napari.layers import Labels, _layer_actions

from napari_crii.session import SliceStatus
from napari_crii.session import journal as journal_module
from napari_crii.session.lock import ProjectLock
from napari_crii.session.weights import PublishedWeights
from napari_crii.widgets import unclosed
from tests.widgets.driver import HUMAN
from tests.widgets.projects import (
    SLICE,
    enter,
    open_scan,
    paint,
    project_words,
    restored,
    work_of,
)

pytestmark = pytest.mark.gui


@pytest.fixture
def window(open_window, engine, folder, scan):
    """Return a window with a scan in a project, one stroke drawn."""
    window = open_window()
    enter(window, folder)
    open_scan(window, scan)
    paint(window, 30)
    return window


@pytest.mark.both
def test_after_a_crash_the_window_says_so_and_shows_what_was_saved(window, open_window, folder):
    saved = window.controller.sitting.project.wait()
    drawn = window.data(HUMAN).copy()
    # As if the power had gone here: the journal is neither sealed nor let go of.
    broken = shutil.copytree(folder, folder.with_name("broken"))
    (broken / "journal.holder.json").unlink()
    unclosed.remember(broken)
    again = open_window()
    offer = again.assistant.project_row.back
    again.until(lambda: offer.isVisible())
    assert "Press 'Go on with broken'" in again.status
    again.click(offer)
    restored(again)
    assert not offer.isVisible()
    until = time.strftime("%H:%M:", time.localtime(saved.at))
    assert again.status.startswith(
        f"The last sitting ended without closing; everything up to {until}"
    )
    assert np.array_equal(again.data(HUMAN), drawn)


@pytest.mark.both
def test_a_window_that_closes_in_the_middle_of_a_stroke_keeps_the_stroke(window, folder):
    before = window.data(HUMAN).copy()
    paint(window, 34, release=False)
    drawn = window.data(HUMAN).copy()
    assert (drawn != before).any()
    window.end()
    assert np.array_equal(work_of(folder).human.labels, drawn)
    assert work_of(folder).history.corrections[-1].act == "draw"


def test_a_full_disk_is_said_the_work_goes_on_and_is_saved_later(window, folder, monkeypatch):
    window.controller.sitting.project.wait()
    full = True
    real = journal_module.insert

    def insert(connection, rows):
        if full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(connection, rows)

    monkeypatch.setattr(journal_module, "insert", insert)
    paint(window, 34)
    window.until(lambda: "The work is not saved yet" in window.status)
    assert window.controller.state.is_error
    paint(window, 26, 1)
    drawn = window.data(HUMAN).copy()
    full = False
    window.until(lambda: window.status == "Everything is on the disk again.")
    window.end()
    assert np.array_equal(work_of(folder).human.labels, drawn)


def test_a_project_in_a_folder_that_cannot_be_written_is_shown_and_not_changed(
    window, open_window, folder, monkeypatch
):
    drawn = window.data(HUMAN).copy()
    window.end()

    def acquire(_lock):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(ProjectLock, "acquire", acquire)
    again = open_window()
    enter(again, folder)
    restored(again)
    assert "cannot be written: read-only file system" in project_words(again)
    paint(again, 34)
    assert np.array_equal(again.data(HUMAN), drawn)


@pytest.mark.parametrize("jump", [-7200, 7200])
def test_a_clock_that_jumps_changes_no_order(window, open_window, folder, monkeypatch, jump):
    first = window.data(HUMAN).copy()
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + jump)
    paint(window, 34)
    # Forth and back again: what follows is dated before what it follows.
    monkeypatch.setattr(time, "time", real)
    second = window.data(HUMAN).copy()
    paint(window, 30, 1)
    window.end()
    again = open_window()
    enter(again, folder)
    restored(again)
    assert (again.data(HUMAN) != second).any()
    again.controller.undo()
    assert np.array_equal(again.data(HUMAN), second)
    again.controller.undo()
    assert np.array_equal(again.data(HUMAN), first)


def test_an_array_that_takes_the_masks_place_is_one_act(window):
    first = window.data(HUMAN).copy()
    other = np.zeros(first.shape, dtype=np.int64)
    other[1, 5:9, 5:9] = 1
    other[SLICE, 20:24, 5:9] = 2
    window.viewer.layers[HUMAN].data = other
    assert np.array_equal(window.case.human.labels, other)
    window.controller.undo()
    assert np.array_equal(window.case.human.labels, first)
    assert np.array_equal(window.data(HUMAN), first)


def test_an_array_of_another_shape_does_not_take_the_masks_place(window):
    first = window.data(HUMAN).copy()
    window.viewer.layers[HUMAN].data = np.ones((2, 5, 6), dtype=np.uint8)
    assert np.array_equal(window.data(HUMAN), first)
    assert np.array_equal(window.case.human.labels, first)
    paint(window, 34)
    assert (window.case.human.labels[SLICE] != first[SLICE]).any()


def test_a_mask_whose_type_is_converted_stays_the_mask(window):
    first = window.data(HUMAN).copy()
    done = window.case.corrections
    window.activate(HUMAN)
    _layer_actions._convert_dtype(window.viewer.layers, mode="int64")
    assert window.data(HUMAN).dtype == first.dtype
    assert np.array_equal(window.data(HUMAN), first)
    assert window.case.corrections == done
    paint(window, 34)
    assert (window.case.human.labels[SLICE] != first[SLICE]).any()
    window.controller.undo()
    assert np.array_equal(window.data(HUMAN), first)


def test_a_mask_that_is_made_an_image_and_labels_again_loses_no_stroke(window, folder):
    first, layers = window.data(HUMAN).copy(), window.viewer.layers
    layers.selection = {layers[HUMAN]}
    _layer_actions._convert_to_image(layers)
    assert f"'{HUMAN}' was taken away" in window.status
    layers.selection = {layers[HUMAN]}
    _layer_actions._convert_to_labels(layers)
    paint(window, 34)
    drawn = window.data(HUMAN).copy()
    assert (drawn != first).any()
    window.begin()
    assert sum(isinstance(layer, Labels) for layer in layers) == 4
    assert np.array_equal(window.controller.binding.human.data, drawn)
    window.end()
    assert np.array_equal(work_of(folder).human.labels, drawn)


def test_what_changes_on_hidden_slices_is_taken(window, folder):
    layer = window.viewer.layers[HUMAN]
    layer.paint((SLICE + 2, 20, 30), 1)
    # At once: a proposal of that slice would wipe it off the layer.
    assert window.case.human.labels[SLICE + 2, 20, 30] == 1
    layer.undo()
    assert not window.data(HUMAN)[SLICE + 2].any()
    # napari tells nobody that it has undone something.
    window.end()
    assert not work_of(folder).human.labels[SLICE + 2].any()


def test_a_locked_class_is_named_as_the_reason(window):
    window.controller.sitting.project.lock_classes([2])
    before = window.data(HUMAN).copy()
    paint(window, 34)
    assert np.array_equal(window.data(HUMAN), before)
    assert "locked" in window.status
    window.controller.undo()
    assert "locked" in window.status
    assert window.controller.state.is_error
    assert np.array_equal(window.data(HUMAN), before)


@pytest.mark.both
def test_a_stroke_through_slices_is_undone_at_once_on_all_of_them(window):
    before = window.data(HUMAN).copy()
    window.activate(HUMAN, "paint").n_edit_dimensions = 3
    window.stroke((20, 30), (20, 34))
    window.viewer.layers[HUMAN].n_edit_dimensions = 2
    changed = np.flatnonzero((window.data(HUMAN) != before).any(axis=(1, 2)))
    assert len(changed) > 1
    window.show(0 if 0 not in changed else 5)
    window.controller.undo()
    assert np.array_equal(window.data(HUMAN), before)
    assert window.slice in changed
    assert "slices" in window.status
    window.controller.redo()
    assert (window.data(HUMAN) != before).any(axis=(1, 2)).sum() == len(changed)


def test_other_classes_than_the_projects_are_refused(window):
    before = window.data(HUMAN).copy()
    window.assistant.enter("phantom", None, window.controller.session.classes[:1])
    window.assistant.begin()
    assert "The classes of this project are: class 1, class 2" in window.status
    assert np.array_equal(window.data(HUMAN), before)


def test_weights_that_were_learnt_stay_in_the_project(window, open_window, folder, weights):
    marked = []
    window.controller.network._on_published(
        PublishedWeights.of(weights), lambda: marked.append(True)
    )
    assert not marked
    window.until(lambda: marked)
    assert window.controller.sitting.project.weights.all
    window.end()
    again = open_window()
    enter(again, folder)
    restored(again)
    assert again.assistant.task_form.choice().checkpoint.parent == folder / "checkpoints"
    assert again.case.status(SLICE) is SliceStatus.EDITED


def test_two_scans_of_a_project_keep_their_own_work(window, open_window, folder):
    drawn = window.data(HUMAN).copy()
    window.assistant.enter("phantom", None, window.controller.session.classes)
    window.begin()
    assert not window.data(HUMAN).any()
    window.end()
    assert np.array_equal(work_of(folder, "case-001").human.labels, drawn)
    assert not work_of(folder, "case-002").human.labels.any()


def test_a_folder_that_is_no_project_is_left_alone(window, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "note.txt").write_text("x")
    project = window.controller.sitting.project
    window.assistant.projects.open(tmp_path / "other")
    window.until(lambda: not window.controller.sitting.busy)
    assert "is neither a project nor empty" in window.status
    assert window.controller.state.is_error
    assert window.controller.sitting.project is project
    assert [p.name for p in (tmp_path / "other").iterdir()] == ["note.txt"]
