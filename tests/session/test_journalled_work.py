"""Work on a case comes back from the journal: after closing, a crash, a disk that was full."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from napari_crii.classes import LabelClass
from napari_crii.errors import JournalError
from napari_crii.session import Act, SliceStatus, telling
from napari_crii.session import journal as journal_module
from napari_crii.session.journal import Listener, Saved
from napari_crii.session.progress import Progress, case_progress, slice_progress
from napari_crii.session.project import Project
from napari_crii.session.signing import sign_off
from tests.session.projects import (
    PATCH,
    opened,
    proposal,
    same_work,
    scan,
    stroke,
)


def test_work_undo_and_redo_survive_closing_the_project(folder: Path) -> None:
    with opened(folder) as project:
        case = project.session.open(scan())
        case.publish(proposal(1))
        case.accept_patch(PATCH)
        stroke(case, 0, 3, 4)
        stroke(case, 2, 5, 6, label=2)
        case.accept_slice(2)
        case.undo()
    with opened(folder) as project:
        again = project.session.open(scan())
        assert same_work(again, case)
        assert not project.recovered
        redone = again.redo()
        assert redone is not None
        assert (redone.act, redone.slice, redone.reader) == (Act.ACCEPT_SLICE, 2, "r")
        steps = 0
        while again.undo() is not None:
            steps += 1
        assert steps == 4
        assert not again.human.provenance.any()
        assert again.slices_with(SliceStatus.UNTOUCHED) == [0, 1, 2, 3]
    with opened(folder) as project:
        last = project.session.open(scan())
        for _ in range(3):
            last.redo()
        assert same_work_without_the_last_act(last)


def same_work_without_the_last_act(case) -> bool:
    return [c.act for c in case.corrections if c.act is not Act.TAKE] == [
        Act.ACCEPT_PATCH, Act.DRAW, Act.DRAW,
    ]  # fmt: skip


def test_states_written_now_and_then_change_nothing(folder: Path, monkeypatch) -> None:
    monkeypatch.setattr(telling, "STATE_EVERY", 3)
    rng = np.random.default_rng(3)
    with opened(folder) as project:
        case = project.session.open(scan())
        for _ in range(60):
            act = rng.integers(5)
            if act == 0:
                case.undo()
            elif act == 1:
                case.redo()
            else:
                labels = case.shown(int(rng.integers(4))).copy()
                labels[rng.integers(18), rng.integers(23)] = rng.integers(3)
                case.draw(int(rng.integers(4)), labels)
        project.wait()
        kinds = [entry.kind for entry in project.journal.entries_of("case-001/1")]
        assert kinds.count("stood") > 5
        restored = project.restored(project.record_of("case-001"))
    assert np.array_equal(restored.human.labels, case.human.labels)
    assert np.array_equal(restored.human.provenance, case.human.provenance)
    with opened(folder) as project:
        again = project.session.open(scan())
        while again.undo() is not None:
            continue
        assert not again.human.labels.any()


def test_what_is_appended_is_acknowledged_with_its_time(folder: Path) -> None:
    acknowledged: list[Saved] = []
    arrived = threading.Event()

    def saved(what: Saved) -> None:
        acknowledged.append(what)
        arrived.set()

    project = opened(folder, listener=Listener(saved=saved))
    before = time.time()
    case = project.session.open(scan())
    stroke(case, 0, 1, 1)
    number = project.journal.number
    assert project.journal.wait(number).number >= number
    assert arrived.wait(10)
    assert acknowledged[-1].number == number
    assert before <= acknowledged[-1].at <= time.time()
    project.close()


def test_a_crash_loses_nothing_that_was_acknowledged(folder: Path) -> None:
    project = opened(folder)
    case = project.session.open(scan())
    stroke(case, 1, 3, 3)
    project.wait()
    # What a crash leaves: no seal, and a lock that the system let go of.
    project._opened.lock.release()
    with opened(folder) as after:
        assert after.recovered
        assert same_work(after.session.open(scan()), case)


def test_a_failing_disk_is_said_and_what_was_drawn_is_saved_later(
    folder: Path, monkeypatch
) -> None:
    said, full = threading.Event(), threading.Event()
    full.set()
    sentences: list[str] = []
    real = journal_module.insert

    def insert(connection, rows):
        if full.is_set():
            raise OSError(28, "No space left on device")
        real(connection, rows)

    def trouble(sentence: str) -> None:
        sentences.append(sentence)
        said.set()

    monkeypatch.setattr(journal_module, "insert", insert)
    monkeypatch.setattr(journal_module, "_RETRY_SECONDS", 0.01)
    project = opened(folder, listener=Listener(trouble=trouble))
    project.enter(scan())
    assert said.wait(10)
    assert "not saved" in sentences[0]
    with pytest.raises(JournalError, match="1 entries are not saved"):
        project.journal.wait(timeout=0.05)
    full.clear()
    project.close()
    with opened(folder) as again:
        assert list(again.records.cases) == ["case-001"]


def test_flags_looks_and_the_signature_come_back(folder: Path) -> None:
    with opened(folder) as project:
        case = project.session.open(scan())
        assert case_progress(case.work) is Progress.NEW
        case.look([0, 1], 12.5)
        stroke(case, 2, 3, 3)
        case.flag(2, note="motion")
        assert case_progress(case.work) is Progress.FLAGGED
        case.flag(2, False)
        case.flag(0)
        case.flag(0, False)
        assert sign_off(case, "Dr. R").unseen == (3,)
    with opened(folder) as project:
        case = project.session.open(scan())
        assert (case.notes.seconds, case.notes.looked) == (12.5, {0, 1})
        signature = case.notes.signature
        assert signature is not None
        assert (signature.by, signature.unseen) == ("Dr. R", (3,))
        assert case_progress(case.work) is Progress.DONE
        assert slice_progress(case.work, 2) is Progress.IN_PROGRESS
        case.accept_slice(3)
        assert case.notes.signature is None
    with opened(folder) as project:
        assert project.restored(project.record_of("case-001")).notes.signature is None


def test_the_largest_class_is_kept(tmp_path: Path) -> None:
    Project.create(tmp_path / "p", "p", (LabelClass(65535, "large"), LabelClass(300, "small")))
    with opened(tmp_path / "p") as project:
        case = project.session.open(scan())
        stroke(case, 0, 1, 1, label=65535)
        stroke(case, 0, 5, 5, label=300)
    with opened(tmp_path / "p") as project:
        assert same_work(project.session.open(scan()), case)
        assert set(np.unique(case.mask(include_proposals=False))) == {0, 300, 65535}
