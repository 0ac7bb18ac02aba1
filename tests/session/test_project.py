from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from napari_crii.classes import LabelClass, numbered_classes
from napari_crii.errors import JournalError, LockedError, ProjectError, ReadOnlyError
from napari_crii.io import write_mask
from napari_crii.patches import Box, Patch, Reason
from napari_crii.session import Act, Proposal, Provenance, SliceStatus
from napari_crii.session import case as case_module
from napari_crii.session import journal as journal_module
from napari_crii.session.journal import Listener, Saved
from napari_crii.session.progress import Progress, case_progress, sign_off, slice_progress
from napari_crii.session.project import Project
from tests.session.projects import SHAPE, new_project, opened, same_work, scan, stroke

PATCH = Patch(1, Box(2, 4, 9, 14), 0.4, Reason.REGION)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return new_project(tmp_path / "prüf project")


def proposal(index: int, label: int = 2, checkpoint: str = "w1") -> Proposal:
    labels = np.zeros(SHAPE[1:], dtype=np.uint8)
    labels[3:12, 5:15] = label
    return Proposal(index, labels, np.zeros(SHAPE[1:], dtype=np.uint8), (), checkpoint)


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
    monkeypatch.setattr(case_module, "STATE_EVERY", 3)
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


def test_a_second_opener_reads_only_and_names_the_holder(folder: Path) -> None:
    with opened(folder) as first:
        case = first.session.open(scan())
        stroke(case, 0, 3, 3)
        first.wait()
        with opened(folder, "other") as second:
            assert second.holder is not None
            assert str(second.holder.pid) in second.read_only
            assert second.holder.host in second.read_only
            seen = second.session.open(scan())
            assert same_work(seen, case)
            for act in (seen.undo, seen.redo, lambda: seen.accept_slice(0)):
                with pytest.raises(ReadOnlyError, match="has it open"):
                    act()
            with pytest.raises(ReadOnlyError):
                second.enter(scan(5))
            assert same_work(seen, case)
        stroke(case, 0, 9, 3)
    with opened(folder) as third:
        assert not third.read_only
        assert same_work(third.session.open(scan()), case)


def test_the_split_is_fixed_on_entering_and_by_patient(folder: Path) -> None:
    with opened(folder) as project:
        for k in range(12):
            project.enter(scan(k), patient=f"p{k}")
        project.enter(scan(20), patient="p1")
        sides = [r.validation for r in project.records.cases.values()]
    assert [k for k, validates in enumerate(sides) if validates] == [1, 6, 11, 12]
    with opened(folder) as project:
        assert [r.validation for r in project.records.cases.values()] == sides
        for k in (0, 1):
            project.session.open(scan(k)).accept_slice(0)
        snapshot = project.session.snapshot()
        assert [s.patient for s in snapshot.training] == ["p0"]
        assert [s.patient for s in snapshot.validation] == ["p1"]
        assert project.session.fresh_slices() == 1
        project.session.mark_learned()
    with opened(folder) as project:
        project.session.open(scan(0))
        assert project.session.fresh_slices() == 0


def test_a_stroke_through_slices_is_one_step_of_undo(folder: Path) -> None:
    with opened(folder) as project:
        case = project.session.open(scan())
        case.publish(proposal(1))
        stroke(case, 0, 9, 9, label=2)
        drawn = {i: case.shown(i).copy() for i in range(3)}
        for labels in drawn.values():
            labels[2:6, 2:6] = 1
        assert len(case.draw_slices(drawn)) == 3
    with opened(folder) as project:
        case = project.session.open(scan())
        group = case.undo_act()
        assert {c.slice for c in group} == {0, 1, 2}
        assert [case.status(i) for i in range(3)] == ["edited", "untouched", "untouched"]
        assert case.human.labels.sum() == 12
        assert {c.slice for c in case.redo_act()} == {0, 1, 2}
        assert np.array_equal(case.shown(2), drawn[2])


def test_an_imported_mask_is_one_step_of_undo_also_after_opening_again(folder: Path) -> None:
    mask = {i: np.full(SHAPE[1:], 1 + i % 2, dtype=np.uint8) for i in range(SHAPE[0])}
    with opened(folder) as project:
        case = project.session.open(scan())
        stroke(case, 2, 9, 9, label=2)
        before = case.human.labels.copy()
        heard: list[int] = []
        case.listen(lambda *events, tell=case._listener: heard.append(len(events)) or tell(*events))
        assert len(case.seed_slices(mask)) == SHAPE[0]
        # Told at once: the journal has all of the mask or nothing of it.
        assert heard == [SHAPE[0]]
    with opened(folder) as project:
        case = project.session.open(scan())
        assert len(case.undo_act()) == SHAPE[0]
        assert np.array_equal(case.human.labels, before)
        assert [case.status(i) for i in range(3)] == ["untouched", "untouched", "edited"]
        assert len(case.redo_act()) == SHAPE[0]
        assert all((case.human.labels[i] == labels).all() for i, labels in mask.items())


def test_a_mask_that_would_change_a_locked_class_enters_nowhere(folder: Path) -> None:
    with opened(folder) as project:
        case = project.session.open(scan())
        project.lock_classes([2])
        mask = {i: np.full(SHAPE[1:], 1 + (i == 2), dtype=np.uint8) for i in range(3)}
        with pytest.raises(LockedError, match=r"class 2 is locked, .* slice 3"):
            case.seed_slices(mask)
        assert not case.corrections


def test_a_locked_class_takes_and_gives_no_voxel(folder: Path) -> None:
    with opened(folder) as project:
        case = project.session.open(scan())
        stroke(case, 0, 3, 3, label=1)
        before = case.shown(0).copy()
        project.lock_classes([1])
        labels = np.full(SHAPE[1:], 2)
        labels[15:, 20:] = 1
        case.draw(0, labels)
        expected = np.where(before == 1, 1, 2)
        expected[15:, 20:] = 0
        assert np.array_equal(case.shown(0), expected)
        assert case.draw(1, np.where(np.zeros(SHAPE[1:]), 0, 1)) is None
        assert case.undo() is not None
        with pytest.raises(LockedError, match="class 1 is locked"):
            case.undo()
        assert np.array_equal(case.shown(0), before)
    with opened(folder) as project:
        case = project.session.open(scan())
        with pytest.raises(LockedError, match="unlock"):
            case.undo()
        project.lock_classes([])
        assert case.undo() is not None
        assert not case.human.labels.any()


def test_rejecting_clears_what_nobody_vouches_for(folder: Path) -> None:
    with opened(folder) as project:
        case = project.session.open(scan())
        case.publish(proposal(1))
        stroke(case, 1, 3, 5, label=1)
        drawn = case.human.provenance[1] == Provenance.DRAWN
        case.reject_patch(PATCH)
        inside = np.zeros(SHAPE[1:], dtype=bool)
        inside[2:9, 4:14] = True
        expected = np.where(inside & ~drawn, 0, proposal(1).labels)
        expected[drawn] = 1
        assert np.array_equal(case.shown(1), expected)
        case.reject_slice(1)
        assert np.array_equal(case.shown(1) > 0, drawn)
        assert [c.act for c in case.corrections][-2:] == [Act.REJECT_PATCH, Act.REJECT_SLICE]
        assert {c.checkpoint for c in case.corrections} == {"w1"}
        case.undo()
        assert np.array_equal(case.shown(1), expected)


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


def test_the_scan_is_found_and_must_be_the_one_that_was_entered(
    folder: Path, tmp_path: Path
) -> None:
    volume = scan()
    path = tmp_path / "scan.nii.gz"
    write_mask(path, volume.array.astype(np.uint16), volume.geometry)
    with opened(folder) as project:
        linked = project.add_scan(path, "linked", "p")
        with pytest.raises(ProjectError, match="in the project already, as linked"):
            project.add_scan(path)
        stroke(project.open_case("linked"), 0, 1, 1)
        with pytest.raises(ProjectError, match="no case other"):
            project.open_case("other")
    text = (folder / "journal.sqlite").read_bytes()
    assert str(tmp_path).encode() not in text
    moved = folder.rename(tmp_path / "moved")
    write_mask(path, volume.array.astype(np.uint16) + 1, volume.geometry)
    with opened(moved) as project:
        with pytest.raises(ProjectError, match="not the scan that was entered as linked"):
            project.open_case("linked")
        copied = project.add_scan(path, copy=True)
        path.unlink()
        assert project.open_case(copied.name).shape == SHAPE
        assert linked.digest != copied.digest
    assert json.loads((moved / "scans.json").read_text())[copied.name].startswith("scans/")


@pytest.mark.parametrize("name", ["../x", "a b", "", "ä", "a" * 65, "a/b", "."])
def test_a_name_that_is_no_file_name_is_refused(folder: Path, name: str) -> None:
    with opened(folder) as project, pytest.raises(ProjectError, match="is no name"):
        project.enter(scan(), name or " ")


@pytest.mark.parametrize("classes", [
    (), (LabelClass(0, "a"),), (LabelClass(65536, "a"),),
    (LabelClass(1, "a"), LabelClass(1, "b")), (LabelClass(1, "a"), LabelClass(2, "a")),
])  # fmt: skip
def test_classes_that_do_not_tell_voxels_apart_are_refused(tmp_path: Path, classes) -> None:
    with pytest.raises(ProjectError, match="class"):
        Project.create(tmp_path / "p", "p", classes)
    assert not (tmp_path / "p").exists()


def test_the_largest_class_is_kept(tmp_path: Path) -> None:
    Project.create(tmp_path / "p", "p", (LabelClass(65535, "large"), LabelClass(300, "small")))
    with opened(tmp_path / "p") as project:
        case = project.session.open(scan())
        stroke(case, 0, 1, 1, label=65535)
        stroke(case, 0, 5, 5, label=300)
    with opened(tmp_path / "p") as project:
        assert same_work(project.session.open(scan()), case)
        assert set(np.unique(case.mask(include_proposals=False))) == {0, 300, 65535}


def test_what_is_no_project_is_refused_and_left_alone(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="is no project"):
        opened(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(ProjectError, match="is not empty"):
        Project.create(tmp_path, "p", numbered_classes(["a"]))
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_only_a_project_that_held_nothing_can_be_discarded(folder: Path) -> None:
    with opened(folder) as project:
        case = project.session.open(scan())
        stroke(case, 0, 3, 3)
    with opened(folder) as project:
        with pytest.raises(ProjectError, match="no new project"):
            project.discard()
        assert same_work(project.session.open(scan()), case)
        with opened(folder) as second, pytest.raises(ReadOnlyError):
            second.discard()
    (folder / "note.txt").write_text("x")
    empty = opened(new_project(folder / "inner"))
    empty.enter(scan())
    empty.discard()
    assert list((folder / "inner").iterdir()) == []
    with pytest.raises(ReadOnlyError, match="closed"):
        empty.enter(scan(1))
    with opened(folder) as project:
        assert same_work(project.session.open(scan()), case)


def test_after_closing_nothing_can_be_changed(folder: Path) -> None:
    with opened(folder) as project:
        case = project.session.open(scan())
        stroke(case, 0, 3, 3)
    before = case.human.labels.copy()
    for act in (case.undo, lambda: case.accept_slice(1), lambda: stroke(case, 0, 5, 5)):
        with pytest.raises(ReadOnlyError, match="closed"):
            act()
    assert np.array_equal(case.human.labels, before)
    assert case.status(1) is SliceStatus.UNTOUCHED
