"""Work that was begun in memory becomes a project: nothing is lost, and work goes on."""

from __future__ import annotations

import numpy as np
import pytest

from napari_crii.classes import LabelClass
from napari_crii.errors import JournalError, ProjectError
from napari_crii.geometry import Geometry
from napari_crii.session import Proposal, Session, journal_file
from napari_crii.session import journal as journal_module
from napari_crii.session import moving as moving_module
from napari_crii.session.journal import Journal
from napari_crii.session.moving import begin_move, save_as_project
from napari_crii.session.project import Project
from napari_crii.volume import Volume
from tests.faults import f8_run
from tests.faults.f8_shadow import Shadow

CLASSES = tuple(
    LabelClass(i, name, color)
    for i, name, color in ((1, "a", "#112233"), (2, "b", "#445566"), (3, "c", "#778899"))
)


class MemoryRun(f8_run.Run):
    """The random operations of F8 on a session in memory, which becomes a project later."""

    def __init__(self, folder, seed):
        self.folder = folder
        self.rng = np.random.default_rng(seed)
        self.scans = [f8_run.scan(number) for number in range(f8_run.CASES)]
        self.shadows = [Shadow() for _ in range(f8_run.CASES)]
        self.locked = set()
        self.current = 0
        self.session = Session(CLASSES, "r")
        self.cases = [self.session.open(scan) for scan in self.scans]

    def do_lock(self):
        if hasattr(self, "project"):
            super().do_lock()
            return
        self.locked = {c for c in range(1, f8_run.CLASSES) if self.rng.random() < 0.15}
        for case in self.cases:
            case.lock(self.locked)

    def save(self):
        self.project = save_as_project(self.session, self.folder)


def steps(run, count):
    for number in range(count):
        fault = run.step()
        assert not fault, f"operation {number}: {fault}"


@pytest.mark.parametrize("seed", range(4))
def test_random_work_equals_its_shadow_before_after_and_once_reopened(tmp_path, seed):
    run = MemoryRun(tmp_path / "p", seed)
    steps(run, 250)
    run.save()
    assert run.fault() == run.replayed_fault() == ""
    steps(run, 100)
    assert run.replayed_fault() == ""
    run.restart()
    assert run.fault() == run.replayed_fault() == ""
    # Undo and redo reach back over reopening, and over the move.
    for _ in range(60):
        run.do_undo()
        assert run.fault() == ""
    for _ in range(60):
        run.do_redo()
        assert run.fault() == ""
    run.close()


@pytest.fixture
def scan():
    return Volume(np.arange(90, dtype=np.int16).reshape(3, 5, 6), Geometry((5.0, 0.7, 1.3)))


@pytest.fixture
def session(scan):
    session = Session(CLASSES, "ana")
    case = session.open(scan)
    labels = np.zeros((5, 6), dtype=np.uint8)
    labels[1:3, 2:4] = 2
    case.draw(1, labels)
    case.flag(1, note="odd")
    case.look([0, 1], 4.0)
    case.accept_slice(1)
    return session


def test_looks_of_classes_notes_readers_and_proposals_come_along(session, scan, tmp_path):
    case = session.open(scan)
    labels = np.ones((5, 6), dtype=np.uint8)
    case.publish(Proposal(2, labels, labels, (), "weights"))
    with save_as_project(session, tmp_path / "p", "ben") as project:
        assert project.session.open(scan) is case
        assert case.proposals.has(2)
        case.undo()
    with Project.open(tmp_path / "p", "ben") as project:
        again = project.session.open(scan)
        assert project.session.classes == CLASSES
        assert again.notes.flags == {1: "odd"}
        assert (again.notes.looked, again.notes.seconds) == ({0, 1}, 4.0)
        assert again.notes.checkpoints == {2: "weights"}
        assert [c.reader for c in again.corrections] == ["ana", "ana"]
        assert again.human.labels[1].sum() == 8
        again.redo()
        assert again.slices_with(again.status(1)) == [1]
        assert project.records.readers == {"case-001/1": "ben"}


def test_scans_of_which_the_network_may_have_learnt_never_validate(tmp_path):
    session = Session(CLASSES)
    for number in range(3):
        case = session.open(f8_run.scan(number))
        case.accept_slice(0)
    session.snapshot()
    session.mark_learned()
    with save_as_project(session, tmp_path / "p") as project:
        assert not any(record.validation for record in project.records.cases.values())
        assert session.fresh_slices() == project.session.fresh_slices() == 0


def test_what_is_drawn_while_the_work_moves_is_moved_too(session, scan, tmp_path):
    case = session.open(scan)
    move = begin_move(session, tmp_path / "p")
    case.undo()
    case.draw(2, np.full((5, 6), 3))
    with move.finish():
        case.flag(2)
    with Project.open(tmp_path / "p") as project:
        again = project.session.open(scan)
        assert np.array_equal(again.human.labels, case.human.labels)
        assert [c.number for c in again.corrections] == [c.number for c in case.corrections]
        assert again.notes.flags.keys() == {1, 2}


def test_a_session_becomes_a_project_once(session, scan, tmp_path):
    with save_as_project(session, tmp_path / "p") as project:
        for moved in (session, project.session):
            with pytest.raises(ProjectError, match="in a project already"):
                save_as_project(moved, tmp_path / "q")
    assert not (tmp_path / "q").exists()


def test_a_folder_that_holds_something_is_left_alone_and_work_goes_on(session, scan, tmp_path):
    (tmp_path / "note.txt").write_text("x")
    with pytest.raises(ProjectError, match="not empty"):
        save_as_project(session, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]
    session.open(scan).undo()
    with save_as_project(session, tmp_path / "p") as project:
        assert [c.act for c in project.session.open(scan).corrections] == ["take", "draw"]


def test_what_does_not_read_back_is_not_called_moved(session, scan, tmp_path, monkeypatch):
    monkeypatch.setattr(moving_module, "_numbers", lambda work: id(work))
    with pytest.raises(JournalError, match="did not read back the same"):
        save_as_project(session, tmp_path / "p")
    monkeypatch.undo()
    session.open(scan).undo()
    with save_as_project(session, tmp_path / "q") as project:
        assert len(project.session.open(scan).corrections) == 2


def full_disk(*arguments):
    raise OSError(28, "No space left on device")


def fails_to_read_back(monkeypatch):
    monkeypatch.setattr(moving_module, "_numbers", lambda work: id(work))


def fails_to_save_a_case(monkeypatch):
    real, wait = journal_module.insert, Journal.wait

    def insert(connection, rows):
        (full_disk if any(row[1] == "acted" for row in rows) else real)(connection, rows)

    monkeypatch.setattr(journal_module, "insert", insert)
    monkeypatch.setattr(Journal, "wait", lambda self, *a, **k: wait(self, timeout=0.2))


def fails_to_save_the_first_entry(monkeypatch):
    wait = Journal.wait
    monkeypatch.setattr(journal_module, "insert", full_disk)
    monkeypatch.setattr(Journal, "wait", lambda self, *a, **k: wait(self, timeout=0.2))


def fails_to_lay_out_the_journal(monkeypatch):
    monkeypatch.setattr(journal_file, "connect", full_disk)


@pytest.mark.parametrize(
    "fail",
    [
        fails_to_read_back,
        fails_to_save_a_case,
        fails_to_save_the_first_entry,
        fails_to_lay_out_the_journal,
    ],
)
def test_a_move_that_fails_leaves_nothing_and_work_goes_on(
    session, scan, tmp_path, monkeypatch, fail
):
    case = session.open(scan)
    before = (case.human.labels.copy(), case.human.provenance.copy(), list(case.corrections))
    heard = {key: list(events) for key, events in session.heard.items()}
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "new" / "inner" / "p"):
        with monkeypatch.context() as patch:
            fail(patch)
            with pytest.raises(JournalError):
                save_as_project(session, folder)
    assert [path.name for path in tmp_path.rglob("*")] == ["empty"]
    assert session.in_memory
    assert session.heard == heard
    assert session.open(scan) is case
    assert not case.read_only
    assert np.array_equal(case.human.labels, before[0])
    assert np.array_equal(case.human.provenance, before[1])
    assert list(case.corrections) == before[2]
    case.draw(0, np.full((5, 6), 3))
    with save_as_project(session, tmp_path / "empty"):
        case.undo()
    with Project.open(tmp_path / "empty") as project:
        again = project.session.open(scan)
        assert np.array_equal(again.human.labels, before[0])
        assert again.redo() is not None


def test_what_others_put_into_the_folder_meanwhile_stays(session, tmp_path, monkeypatch):
    folder = tmp_path / "p"

    def disagree(*arguments):
        (folder / "note.txt").write_text("x")
        raise JournalError("it did not read back the same")

    monkeypatch.setattr(moving_module, "_require_same", disagree)
    with pytest.raises(JournalError):
        save_as_project(session, folder)
    assert [path.name for path in folder.iterdir()] == ["note.txt"]


@pytest.mark.parametrize("stays_open", [True, False])
def test_a_project_in_which_somebody_else_works_by_now_is_left_alone(
    session, scan, tmp_path, monkeypatch, stays_open
):
    others, folder = [], tmp_path / "p"
    real = Project.create

    def create(*arguments):
        real(*arguments)
        others.append(Project.open(folder, "eve"))
        others[0].session.open(scan).accept_slice(2)
        others[0].wait()
        if not stays_open:
            others[0].close()

    monkeypatch.setattr(Project, "create", create)
    with pytest.raises(ProjectError):
        save_as_project(session, folder)
    assert session.in_memory
    others[0].close()
    with Project.open(folder) as project:
        assert not project.read_only
        assert [c.reader for c in project.session.open(scan).corrections] == ["eve"] * 2
