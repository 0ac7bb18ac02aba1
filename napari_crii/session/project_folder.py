"""The folder of a project, without its cases: made, opened under its lock, and closed.

.. code-block:: text

    journal.sqlite         all that happened, without any path (see `journal_file`)
    journal.sqlite.sha256  only while nobody has the project open: digest of the journal
    journal.lock           held by the one who writes; journal.holder.json names him
    scans.json             where the scans lie
    scans/ checkpoints/    what was copied in
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from napari_crii.classes import LabelClass
from napari_crii.errors import JournalError, ProjectError, ReadOnlyError
from napari_crii.session import journal_file
from napari_crii.session.entries import Entry, make_entry
from napari_crii.session.journal import Journal, Listener
from napari_crii.session.lock import Holder, ProjectLock
from napari_crii.session.records import Records, require_classes

JOURNAL = "journal.sqlite"
_ASKED = "the project was opened for reading only"


def make_folder(folder: Path, name: str, classes: Sequence[LabelClass]) -> None:
    """Make a new project in a folder that is empty or does not exist; as `Project.create`.

    Raises
    ------
    ProjectError
        If the folder holds anything, cannot be made, or the classes are not as required.
    """
    require_classes(tuple(classes))
    facts = {"name": name, "classes": [asdict(c) for c in classes]}
    with no_folders_left(folder):
        _make_empty(folder)
        make_journal(folder, [make_entry("project", "", facts)])


@contextmanager
def no_folders_left(folder: Path) -> Iterator[None]:
    """If the block fails, remove the folders down to `folder` that it made and left empty."""
    missing = [one for one in (folder, *folder.parents) if not os.path.lexists(one)]
    try:
        yield
    except BaseException:
        for one in missing:
            with suppress(OSError):
                one.rmdir()
        raise


def _is_full(folder: Path) -> bool:
    return any(folder.iterdir())


def _make_empty(folder: Path) -> None:
    require_empty(folder, "project")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ProjectError(f"{folder} cannot be made: {error.strerror}") from error


def require_empty(folder: Path, purpose: str, full: Callable[[Path], bool] = _is_full) -> None:
    """Refuse a folder in which something is, and a file.

    Parameters
    ----------
    purpose
        What the folder is for, in a word.
    full
        Whether what is in an existing folder is anything.

    Raises
    ------
    ProjectError
        If it is neither empty nor still to be made, or cannot be read.
    """
    try:
        is_file = folder.exists() and not folder.is_dir()
        is_full = folder.is_dir() and full(folder)
    except OSError as error:
        raise ProjectError(f"{folder} cannot be read: {error.strerror}") from error
    if is_file or is_full:
        what = "is a file" if is_file else "is not empty"
        raise ProjectError(f"{folder} {what}: choose a new folder for the {purpose}")


def make_journal(folder: Path, entries: Sequence[Entry]) -> None:
    """Make the journal of a project; returns when it is on the disk and sealed.

    Raises
    ------
    JournalError
        If there is one, or it cannot be written; then none is left.
    """
    path = folder / JOURNAL
    journal_file.create(path)
    try:
        journal = Journal(path)
        journal.append(entries)
        journal.close()
    except BaseException:
        with suppress(OSError):
            journal_file.remove(path)
        raise


def require_project(folder: Path) -> None:
    """Raise `ProjectError` unless there is a journal in the folder."""
    if not (folder / JOURNAL).is_file():
        raise ProjectError(f"{folder} is no project: it holds no {JOURNAL}")


@dataclass(frozen=True, eq=False)
class OpenFolder:
    """The folder of a project that is open; use `open_folder`.

    Attributes
    ----------
    path
        Where it lies.
    journal
        Verified.
    records
        What the journal says of the project as a whole.
    lock
        Held, unless it is open for reading only.
    read_only
        One sentence that says why nothing may be changed, or ``""``.
    holder
        Who has it open for writing, where that is somebody else and known.
    new
        Whether the project held nothing but its name and classes when it was opened.
    """

    path: Path
    journal: Journal
    records: Records
    lock: ProjectLock
    read_only: str
    holder: Holder | None
    new: bool

    @property
    def recovered(self) -> bool:
        """Whether the sitting before ended without closing the project."""
        return not self.read_only and not self.journal.was_closed

    def close(self) -> None:
        """Save what is left, seal the journal, and let others write.

        Raises
        ------
        JournalError
            If something could not be saved.
        """
        try:
            self.journal.close()
        finally:
            self.lock.release()

    def discard(self) -> None:
        """Give up a new project and remove its journal and lock; everything else stays.

        The lock is held until the journal is gone, so that no work of anybody else can be in it.

        Raises
        ------
        ReadOnlyError
            If it is open for reading only; it stays as it is.
        ProjectError
            If it held anything before it was opened; it stays as it is.
        OSError
            If a file cannot be removed.
        """
        if self.read_only:
            raise ReadOnlyError(self.read_only)
        if not self.new:
            raise ProjectError(f"{self.path} is not removed: it is no new project")
        self.journal.abandon()
        try:
            journal_file.remove(self.journal.path)
        finally:
            self.lock.remove()


def open_folder(folder: Path, listener: Listener | None, read_only: bool) -> OpenFolder:
    """Open a project's folder; parameters as of `Project.open`.

    Raises
    ------
    ProjectError
        If the folder is no project, or its journal is damaged or of a newer version.
    """
    require_project(folder)
    lock, path = ProjectLock(folder), folder / JOURNAL
    try:
        why, holder = _to_read(lock, path) if read_only else _to_write(lock)
        journal = Journal(path, listener, read_only=bool(why))
        records, new = _records(journal), journal.number == 1
        return OpenFolder(folder, journal, records, lock, why, holder, new)
    except BaseException:
        lock.release()
        raise


def _to_write(lock: ProjectLock) -> tuple[str, Holder | None]:
    """Take the lock; otherwise return why it is read-only, and who has it."""
    try:
        if lock.acquire():
            return "", None
    except OSError as error:
        return f"the project cannot be written: {(error.strerror or str(error)).lower()}", None
    holder = lock.holder()
    who = "another program" if holder is None else holder.in_words()
    return f"the project is open for reading only: {who} has it open", holder


def _to_read(lock: ProjectLock, journal: Path) -> tuple[str, Holder | None]:
    """Roll back a commit that a crash cut short, which a reader may not; tell who writes."""
    with suppress(OSError, JournalError):
        if not journal_file.rollback_path(journal).exists():
            return _ASKED, lock.named()
        if not lock.acquire():
            return _ASKED, lock.holder()
        try:
            journal_file.recover(journal)
        finally:
            lock.release()
    return _ASKED, None


def _records(journal: Journal) -> Records:
    try:
        return Records.of(journal.entries)
    except (ValueError, KeyError, TypeError) as error:
        journal.close()
        raise JournalError(f"{journal.path} contradicts itself: {error}") from error
