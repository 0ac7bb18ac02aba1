"""The cases of a project in the dock: opened by a click, flagged, signed, read a second time."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QLabel

from napari_crii.checkpoint_info import read_checkpoint_info
from napari_crii.engine.messages import LearningFinished
from napari_crii.io import write_map
from napari_crii.session.earlier_work import EarlierWork
from napari_crii.session.project import Project
from napari_crii.widgets import _questions
from napari_crii.widgets.case_words import CaseLine, line_of, ranges_in_words
from napari_crii.widgets.first_reading import FIRST
from napari_crii.widgets.learning_words import READING
from tests.widgets.conftest import save_small
from tests.widgets.driver import HUMAN, LEFT, NO_KEY
from tests.widgets.panels import accept, answer, learn, panel, seen
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
def two_cases(folder, scan, phantom, tmp_path):
    """Return a project with two cases, the second one with a slice that was corrected."""
    other = tmp_path / "other.nii.gz"
    write_map(other, phantom.array[::-1].astype(np.float32) + 7, phantom.geometry)
    with Project.open(folder, "ana") as project:
        project.add_scan(scan, "heart-1")
        project.add_scan(other, "heart-2")
        case = project.open_case("heart-2")
        labels = case.shown(SLICE).copy()
        labels[5:9, 5:9] = 2
        case.draw(SLICE, labels)
    return folder


@pytest.fixture
def window(open_window, engine, two_cases):
    window = open_window()
    enter(window, two_cases)
    window.until(lambda: "..." not in [status for _, status, _ in rows(window)])
    return window


def rows(window):
    tree = window.assistant.cases.tree
    items = [tree.topLevelItem(i) for i in range(tree.topLevelItemCount())]
    return [tuple(item.text(column) for column in range(3)) for item in items]


def notes(window):
    """Return the lines below the list, as the user reads them."""
    label = window.assistant.findChild(QLabel, "crii_case_notes")
    assert label.isVisible() is bool(label.text())
    return label.text()


def click(window, name):
    """Click on a case, and wait until it is on display."""
    tree = window.assistant.cases.tree
    item = next(
        tree.topLevelItem(i)
        for i in range(tree.topLevelItemCount())
        if tree.topLevelItem(i).text(0) == name
    )
    QTest.mouseClick(tree.viewport(), LEFT, NO_KEY, tree.visualItemRect(item).center())
    window.until(lambda: window.status == f"{name} is open.")
    window.qtbot.wait(50)


def press(button):
    QTest.mouseClick(button, LEFT)


def test_a_click_opens_a_case_and_the_list_tells_how_far_each_has_come(window):
    assert rows(window) == [("heart-1", "new", "0 of 6"), ("heart-2", "in progress", "0 of 6")]
    click(window, "heart-2")
    assert (window.data(HUMAN)[SLICE] == 2).sum() == 16
    window.show(SLICE)
    window.controller.accept_slice()
    assert rows(window)[1] == ("heart-2", "in progress", "1 of 6")
    click(window, "heart-1")
    assert not window.data(HUMAN).any()
    paint(window, 30)
    drawn = window.data(HUMAN).copy()
    click(window, "heart-2")
    click(window, "heart-1")
    assert np.array_equal(window.data(HUMAN), drawn)
    shown = [layer for layer in window.viewer.layers if layer.name in ("scan", "other")]
    assert {layer.name: layer.visible for layer in shown} == {"scan": True, "other": False}
    assert [status for _, status, _ in rows(window)] == ["in progress"] * 2


def test_a_case_that_is_shown_again_is_proposed_anew_where_older_weights_had(
    window, engine, trainer, tmp_path
):
    click(window, "heart-1")
    window.propose(engine.last)
    accept(window, 1)
    click(window, "heart-2")
    asked = len(engine.last.asked)
    learn(window, trainer)
    newer = save_small(tmp_path / "newer.safetensors", seed=9)
    digest = read_checkpoint_info(newer).digest
    trainer.last.say(LearningFinished("completed", str(newer), ""))
    window.until(lambda: engine.last.checkpoints[-1] == newer)
    answer(window, engine, digest)
    window.qtbot.wait(50)
    click(window, "heart-1")
    assert len(engine.last.asked) == asked + 2
    assert sorted(engine.last.asked[-1][2]) == [0, 2, 3, 4, 5]
    engine.last.answer(digest, count=2)
    window.until(lambda: window.case.proposals.checkpoint(engine.last.asked[-1][2][1]) == digest)
    # Left before all of them came: the rest is asked for when it is shown once more.
    click(window, "heart-2")
    click(window, "heart-1")
    assert len(engine.last.asked) == asked + 3
    assert len(engine.last.asked[-1][2]) == 3
    answer(window, engine, digest)
    assert {window.case.proposals.checkpoint(i) for i in (0, 2, 3, 4, 5)} == {digest}
    click(window, "heart-2")
    click(window, "heart-1")
    assert len(engine.last.asked) == asked + 3


def test_patients_of_earlier_sittings_judge_what_is_learnt_today(window, engine, trainer):
    click(window, "heart-1")
    window.propose(engine.last)
    accept(window, 1, 2)
    window.click(panel(window).learn)
    window.until(lambda: trainer.made)
    (judging,) = trainer.last.snapshot.validation
    assert (judging.labels == 2).sum() == 16
    assert len(trainer.last.snapshot.training) == 2
    assert list(window.controller.session.cases) == [window.case.volume.digest]


def test_while_earlier_slices_are_read_the_panel_says_so(window, engine, trainer, monkeypatch):
    read, may_read = EarlierWork.read, threading.Event()

    def read_late(work, neighbours):
        assert may_read.wait(30)
        read(work, neighbours)

    monkeypatch.setattr(EarlierWork, "read", read_late)
    click(window, "heart-1")
    window.propose(engine.last)
    accept(window, 1)
    window.click(panel(window).learn)
    window.until(lambda: seen(panel(window).box, READING))
    assert not panel(window).learn.isEnabled()
    may_read.set()
    window.until(lambda: trainer.made)
    window.until(lambda: not seen(panel(window).box, READING))


def test_a_flag_is_told_first_and_taken_off_again(window, monkeypatch):
    click(window, "heart-2")
    window.show(SLICE)
    monkeypatch.setattr(_questions, "text", lambda *_: "apex?")
    press(window.assistant.cases.flag)
    assert window.case.notes.flags == {SLICE: "apex?"}
    assert rows(window)[1][1] == "flagged"
    assert notes(window) == f"Flagged: slice {SLICE + 1} (apex?)."
    press(window.assistant.cases.flag)
    assert not window.case.notes.flags
    assert notes(window) == ""
    assert rows(window)[1][1] == "in progress"


def test_signing_off_asks_first_and_says_what_nobody_looked_at(window, two_cases, monkeypatch):
    monkeypatch.setattr("napari_crii.widgets.looking.LEAST_SECONDS", 0.0)
    asked, answers = [], [False, True]
    monkeypatch.setattr(
        _questions, "agrees", lambda *words: asked.append(words[-1]) or answers.pop(0)
    )
    click(window, "heart-2")
    window.show(0)
    window.show(SLICE)
    press(window.assistant.cases.sign)
    assert window.status == "Nothing was signed."
    assert window.case.notes.signature is None
    seen = window.case.notes.looked
    unseen = ranges_in_words([i for i in range(6) if i not in seen | {SLICE}])
    assert f"Never looked at: {unseen}." in asked[0]
    assert "Sign heart-2 off as ana" in asked[0]
    press(window.assistant.cases.sign)
    assert rows(window)[1][1] == "done"
    at = time.localtime(window.case.notes.signature.at)
    signed = time.strftime("Signed off by ana on %Y-%m-%d at %H:%M.", at)
    assert notes(window) == signed
    assert window.status == f"heart-2: {signed}"
    paint(window, 30)
    window.until(lambda: rows(window)[1][1] == "in progress")
    assert notes(window) == ""
    window.controller.undo()
    window.end()
    assert work_of(two_cases, "heart-2").notes.signature is None


def test_a_second_reader_starts_from_nothing_and_the_first_one_stays_as_it_was(
    window, two_cases, monkeypatch
):
    click(window, "heart-2")
    first = window.data(HUMAN).copy()
    monkeypatch.setattr(_questions, "text", lambda *_: "ben")
    press(window.assistant.cases.second)
    window.until(lambda: "ben, second reading" in project_words(window))
    restored(window)
    assert not window.data(HUMAN).any()
    assert rows(window)[1][1] == "new"
    assert [layer.name for layer in window.viewer.layers if layer.name.startswith("other")] == [
        "other"
    ]
    paint(window, 30)
    assert FIRST not in window.viewer.layers
    monkeypatch.setattr(_questions, "agrees", lambda *_: True)
    press(window.assistant.cases.sign)
    window.until(lambda: FIRST in window.viewer.layers)
    assert np.array_equal(window.data(FIRST), first)
    assert not window.viewer.layers[FIRST].editable
    assert window.viewer.layers.selection.active is window.viewer.layers[HUMAN]
    paint(window, 34)
    window.until(lambda: FIRST not in window.viewer.layers)
    window.end()
    with Project.open(two_cases, read_only=True) as project:
        record = project.record_of("heart-2")
        assert np.array_equal(project.restored(record, 1).human.labels, first)
        assert project.restored(record, 2).human.labels.any()
        assert project.records.settings["reader"] == "ana"
        assert project.records.readers["heart-2/2"] == "ben"


def test_without_a_project_there_is_no_list(open_window, engine):
    window = open_window()
    assert not window.assistant.cases.box.isVisible()
    window.begin()
    assert not window.assistant.cases.box.isVisible()


def test_nothing_in_the_list_is_cut_off_but_long_names(open_window, engine, folder, scan, qtbot):
    with Project.open(folder, "ana") as project:
        project.add_scan(scan, "a-very-long-name-of-a-case-that-no-dock-would-hold")
    window = open_window()
    enter(window, folder)
    window.until(lambda: rows(window)[0][1] == "new")
    tree = window.assistant.cases.tree
    qtbot.waitUntil(lambda: not tree.verticalScrollBar().isVisible())
    assert sum(tree.columnWidth(column) for column in range(3)) <= tree.viewport().width()
    for column in (1, 2):
        assert tree.columnWidth(column) >= tree.sizeHintForColumn(column)
    last = tree.visualItemRect(tree.topLevelItem(tree.topLevelItemCount() - 1))
    assert tree.viewport().rect().contains(last.bottomLeft())


def test_a_scan_that_is_gone_is_said_and_found_again(window, scan):
    moved = scan.rename(scan.with_name("moved.nii.gz"))
    tree = window.assistant.cases.tree
    place = tree.visualItemRect(tree.topLevelItem(0)).center()
    QTest.mouseClick(tree.viewport(), LEFT, NO_KEY, place)
    assert "The scan of heart-1 is not where it was" in window.status
    assert window.controller.state.is_error
    open_scan(window, moved)
    assert rows(window)[0][0] == "heart-1"
    project = window.controller.sitting.project
    window.until(lambda: project.scans.path_of("heart-1") == moved)


def test_a_case_is_told_in_one_line():
    assert line_of("a", None, True) == CaseLine("a", "...", "", True)
    assert ranges_in_words([4]) == "slice 5"
    assert ranges_in_words([0, 1, 2, 6, 8, 9]) == "slices 1 to 3, 7, 9 to 10"
