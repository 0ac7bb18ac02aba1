"""From work that was begun in memory to a project, nothing lost."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_crii.errors import CriiError, JournalError, ProjectError
from napari_crii.session.case import Case
from napari_crii.session.events import CaseEvent
from napari_crii.session.journal import Listener
from napari_crii.session.project import Project
from napari_crii.session.project_folder import no_folders_left
from napari_crii.session.reading import Reading
from napari_crii.session.records import CaseRecord
from napari_crii.session.session import Session


@dataclass(frozen=True, eq=False)
class Move:
    """Work that has been written into a new project, while it went on in memory.

    Attributes
    ----------
    session
        In memory.
    project
        Open, with all that `session` had heard when the move began.
    records
        The cases, by the digests of their scans.
    written
        How many events of each case are in the project.
    """

    session: Session
    project: Project
    records: dict[str, CaseRecord]
    written: dict[str, int]

    def finish(self) -> Project:
        """Write what has happened since, and let the journal hear the cases from here on.

        For the thread on which the session is worked with; it does not wait for the disk.
        """
        session, project = self.session, self.project
        for key, record in self.records.items():
            case, since = session.cases[key], session.heard[key][self.written[key] :]
            if since:
                project.append(record.reading(project.reading), since)
            case.reader = project.reader
            project.keep(case, record)
            project.session.cases[key] = case
        session.heard.clear()
        session.in_memory = False
        return project


def begin_move(
    session: Session, folder: Path, reader: str = "", listener: Listener | None = None
) -> Move:
    """Make a project of a session in memory, and read it back from the disk.

    Work in the session may go on meanwhile, on another thread, but no scan may be opened in it.
    Until `Move.finish` the session is as it was. Its scans train: the network may have learnt of
    them already. If it fails, what was written is removed again, and work goes on in memory.

    Parameters
    ----------
    session
        In memory.
    folder
        Of the project: empty, or not there yet. Its name is the project's.
    reader
        Who corrects from here on; ``""``: as in the session.
    listener
        Who hears when something is saved, as of `Project.open`.

    Raises
    ------
    ProjectError
        If the work is in a project already, or the folder cannot become one.
    JournalError
        If something could not be saved.
    """
    if not session.in_memory:
        raise ProjectError(f"{folder} was not made: this work is in a project already")
    with no_folders_left(folder):
        Project.create(folder, folder.name, session.classes)
        project = Project.open(folder, reader or session.reader, listener)
        try:
            return _moved(session, project)
        except BaseException:
            _take_back(project)
            raise


def _moved(session: Session, project: Project) -> Move:
    """Write all that a session has heard into an empty project, and read it back."""
    cases = dict(session.cases)
    heard = {key: tuple(session.heard[key]) for key in cases}
    records = {key: _write(project, case, heard[key]) for key, case in cases.items()}
    _lock(project, session)
    _keep_weights(project, session)
    project.wait()
    for key, record in records.items():
        _require_same(project, record, heard[key])
    return Move(session, project, records, {key: len(events) for key, events in heard.items()})


def _take_back(project: Project) -> None:
    """Remove what was written, unless the project is somebody else's by now."""
    with suppress(CriiError, OSError):
        try:
            project.discard()
        except ProjectError:
            project.close()


def save_as_project(
    session: Session, folder: Path, reader: str = "", listener: Listener | None = None
) -> Project:
    """Make a project of a session in memory, and go on in it; as `begin_move`.

    The cases stay the same objects, with their proposals and all that can be undone and redone;
    from here on the journal hears them.

    Returns
    -------
    Project
        Open; its session holds the cases.
    """
    return begin_move(session, folder, reader, listener).finish()


def _write(project: Project, case: Case, events: Sequence[CaseEvent]) -> CaseRecord:
    """Enter a case, and write down all that happened to it."""
    record = project.enter(case.volume, patient=case.patient, trains=True)
    project.append(record.reading(project.reading), events)
    return record


def _lock(project: Project, session: Session) -> None:
    """Lock in the project what is locked in any case."""
    locked = frozenset[int]().union(*(case.human.locked for case in session.cases.values()))
    if locked:
        project.lock_classes(sorted(locked))


def _keep_weights(project: Project, session: Session) -> None:
    """Copy what was learnt in memory into the project, as long as its files are there."""
    for weights in list(session.weights):
        if weights.path is not None and weights.path.is_file():
            project.weights.add(weights.path, weights)
    if session.weights.in_use in project.records.weights:
        project.weights.use(session.weights.in_use)


def _require_same(project: Project, record: CaseRecord, events: Sequence[CaseEvent]) -> None:
    """Raise `JournalError` unless the journal says the same as these events."""
    found = project.restored(record)
    work = Reading.new(record.shape, project.session.label_count)
    work.replay(events)
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
