"""From work that was begun in memory to a project, nothing lost."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np

from napari_crii.errors import CriiError, JournalError, ProjectError
from napari_crii.session.case import Case
from napari_crii.session.journal import Listener
from napari_crii.session.project import Project
from napari_crii.session.reading import Reading
from napari_crii.session.records import CaseRecord
from napari_crii.session.session import Session


def save_as_project(
    session: Session, folder: Path, reader: str = "", listener: Listener | None = None
) -> Project:
    """Make a project of a session in memory, and go on in it.

    The cases stay the same objects, with their proposals and all that can be undone and redone;
    from here on the journal hears them. They are taken over only after everything was read back
    from the disk; until then the session is as it was. Scans of which the network has learnt
    train.

    Parameters
    ----------
    session
        In memory. Nobody may correct anything in it while this runs.
    folder
        Of the project: empty, or not there yet. Its name is the project's.
    reader
        Who corrects from here on; ``""``: as in the session.
    listener
        Who hears when something is saved, as of `Project.open`.

    Returns
    -------
    Project
        Open; its session holds the cases.

    Raises
    ------
    ProjectError
        If the work is in a project already, or the folder cannot become one.
    JournalError
        If something could not be saved; what was written is left, and the session in memory.
    """
    if not session.in_memory:
        raise ProjectError(f"{folder} was not made: this work is in a project already")
    Project.create(folder, folder.name, session.classes)
    project = Project.open(folder, reader or session.reader, listener)
    try:
        records = {key: _write(project, case, session) for key, case in session.cases.items()}
        _lock(project, session)
        project.wait()
        for key, record in records.items():
            _require_same(project, record, session.cases[key].work)
    except BaseException:
        with suppress(CriiError):
            project.close()
        raise
    for key, record in records.items():
        case = session.cases[key]
        case.reader = project.reader
        project.keep(case, record)
        project.session.cases[key] = case
    session.heard.clear()
    session.in_memory = False
    return project


def _write(project: Project, case: Case, session: Session) -> CaseRecord:
    """Enter a case, and write down all that happened to it."""
    learned = bool(case.notes.learned)
    record = project.enter(case.volume, patient=case.patient, learned=learned)
    project.append(record.reading(project.reading), session.heard[case.volume.digest])
    return record


def _lock(project: Project, session: Session) -> None:
    """Lock in the project what is locked in any case."""
    locked = frozenset[int]().union(*(case.human.locked for case in session.cases.values()))
    if locked:
        project.lock_classes(sorted(locked))


def _require_same(project: Project, record: CaseRecord, work: Reading) -> None:
    """Raise `JournalError` unless the journal, replayed, gives this work."""
    found = project.restored(record)
    same = (
        np.array_equal(found.human.labels, work.human.labels)
        and np.array_equal(found.human.provenance, work.human.provenance)
        and _numbers(found) == _numbers(work)
        and vars(found.notes) == vars(work.notes)
    )
    if not same:
        raise JournalError(f"{project.folder}: {record.name} did not read back the same")


def _numbers(work: Reading) -> tuple[list[str], list[int], list[int], list[int], int]:
    """Return the status of every slice, and what stands, can be undone and be done again."""
    history = work.history
    groups = (history.corrections, history.to_undo, history.to_redo)
    standing, undoable, redoable = ([c.number for c in group] for group in groups)
    count = work.human.labels.shape[0]
    statuses = [str(work.human.status(index)) for index in range(count)]
    return statuses, standing, undoable, redoable, work.next_number
