"""Projects in a real window: what was done is there again, whatever became of the window."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_crii.session import SliceStatus
from napari_crii.session.project import Project
from napari_crii.session.weights import PublishedWeights
from napari_crii.widgets import _questions
from tests.widgets.conftest import CLASSES
from tests.widgets.driver import CONTROL, HUMAN
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


@pytest.mark.both
def test_strokes_come_back_in_a_new_window_and_are_undone_there(open_window, engine, folder, scan):
    window = open_window()
    enter(window, folder)
    assert window.status == "Project hearts is open."
    open_scan(window, scan)
    paint(window, 30)
    first = window.data(HUMAN)[SLICE].copy()
    paint(window, 34, 1)
    both = window.data(HUMAN)[SLICE].copy()
    assert (both != first).any()
    window.until(lambda: ", ana: saved " in project_words(window))
    window.end()
    assert np.array_equal(work_of(folder).human.labels[SLICE], both)

    again = open_window()
    enter(again, folder)
    restored(again)
    assert again.controller.session.reader == "ana"
    assert np.array_equal(again.data(HUMAN)[SLICE], both)
    assert again.case.status(SLICE) is SliceStatus.EDITED
    assert again.status == "Project hearts is open."
    again.show(0)
    again.activate(HUMAN)
    again.key(Qt.Key.Key_Z, CONTROL)
    assert again.slice == SLICE
    assert np.array_equal(again.data(HUMAN)[SLICE], first)
    again.key(Qt.Key.Key_Z, CONTROL)
    assert not again.data(HUMAN)[SLICE].any()
    assert again.case.status(SLICE) is SliceStatus.UNTOUCHED
    again.end()
    assert not work_of(folder).human.labels.any()


def test_a_clock_that_goes_on_draws_its_line_and_nothing_else(
    open_window, engine, folder, scan, monkeypatch
):
    window = open_window()
    enter(window, folder)
    open_scan(window, scan)
    controller, drawn = window.controller, []
    cases = window.assistant.cases
    render = cases.render
    monkeypatch.setattr(cases, "render", lambda: drawn.append(1) or render())
    before = project_words(window)
    monkeypatch.setattr(controller.sitting, "_saved_at", controller.sitting._saved_at + 61)
    controller._refresh()
    assert project_words(window) != before
    assert not drawn
    controller.say("Something else.")
    assert drawn


def test_an_empty_folder_becomes_a_project_with_the_readers_name(
    open_window, engine, tmp_path, monkeypatch
):
    answers = ["", "ben"]
    monkeypatch.setattr(_questions, "text", lambda *_: answers.pop(0))
    ask = "napari_crii.widgets.assistant.QFileDialog.getExistingDirectory"
    monkeypatch.setattr(ask, lambda *_: str(tmp_path / "new"))
    (tmp_path / "new").mkdir()
    window = open_window()
    window.assistant.project_row.choose.click()
    assert window.status == "new was not made a project: no name was given."
    window.assistant.project_row.choose.click()
    window.until(lambda: not window.controller.sitting.busy)
    assert window.status == "Project new is open."
    window.end()
    with Project.open(tmp_path / "new", read_only=True) as project:
        assert project.records.settings["reader"] == "ben"
        assert project.records.classes == CLASSES


def test_work_that_was_begun_in_memory_becomes_a_project_while_it_goes_on(
    open_window, engine, tmp_path, folder, scan, weights, monkeypatch
):
    monkeypatch.setattr(_questions, "text", lambda *_: "ben")
    window = open_window()
    open_scan(window, scan)
    paint(window, 30)
    first = window.data(HUMAN).copy()
    window.controller.sitting.keep_weights(PublishedWeights.of(weights))
    window.assistant.projects.open(folder)
    assert "Your work is in memory only: choose an empty folder" in window.status
    window.assistant.projects.open(tmp_path / "new")
    paint(window, 26, 1)
    window.until(lambda: window.status == "Your work is in project new now.")
    assert project_words(window).startswith("Project new, ben: saved")
    window.until(lambda: window.controller.sitting.project.weights.all)
    paint(window, 34)
    drawn = window.data(HUMAN).copy()
    window.end()
    assert np.array_equal(work_of(tmp_path / "new").human.labels, drawn)
    again = open_window()
    enter(again, tmp_path / "new")
    restored(again)
    assert np.array_equal(again.data(HUMAN), drawn)
    again.controller.undo()
    again.controller.undo()
    assert np.array_equal(again.data(HUMAN), first)


def test_a_second_window_reads_only_and_the_brush_leaves_nothing(open_window, engine, folder, scan):
    first = open_window()
    enter(first, folder)
    open_scan(first, scan)
    paint(first, 30)
    first.controller.sitting.project.wait()
    second = open_window()
    enter(second, folder)
    restored(second)
    assert "has it open" in project_words(second)
    before = second.data(HUMAN).copy()
    assert np.array_equal(before, first.data(HUMAN))
    paint(second, 34)
    assert np.array_equal(second.data(HUMAN), before)
    # Somebody else makes the layer editable again.
    second.viewer.layers[HUMAN].editable = True
    paint(second, 34)
    assert np.array_equal(second.data(HUMAN), before)
    assert "reading only" in second.status
    for act in ("accept_slice", "accept_patch", "undo", "redo"):
        second.controller.say("")
        getattr(second.controller, act)()
        assert "open for reading only" in second.status, act
    second.end()
    paint(first, 34)
    drawn = first.data(HUMAN).copy()
    first.end()
    assert np.array_equal(work_of(folder).human.labels, drawn)


def test_what_was_looked_at_is_kept(open_window, engine, folder, scan, monkeypatch):
    monkeypatch.setattr("napari_crii.widgets.looking.LEAST_SECONDS", 0.0)
    window = open_window()
    enter(window, folder)
    open_scan(window, scan)
    window.show(SLICE)
    window.show(5)
    window.end()
    notes = work_of(folder).notes
    assert {SLICE, 5} <= notes.looked
    assert notes.seconds > 0
