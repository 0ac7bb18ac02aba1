"""The project behind the window: opened and heard off the window's thread, closed for certain."""

from __future__ import annotations

import importlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from qtpy.QtCore import QObject, Signal

from napari_crii.classes import LabelClass
from napari_crii.errors import CriiError, ProjectError
from napari_crii.session import Case, Session
from napari_crii.session.journal import Listener, Saved
from napari_crii.session.moving import Move, begin_move
from napari_crii.session.project import Project
from napari_crii.session.project_folder import JOURNAL
from napari_crii.volume import Volume
from napari_crii.widgets.background import Background, Failed, Gate

READER, LAST_CASE = "reader", "last_case"
IN_MEMORY = "No project: your work lives in memory until you save the mask."
_T = TypeVar("_T")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wish:
    """Which project to open.

    Attributes
    ----------
    folder
        Of the project.
    reader
        Who corrects; ``""`` is the one whom the project remembers.
    classes
        Of a project that is made first; empty: it is there already.
    reading
        1, or 2 for a second reading, which does not see the first.
    """

    folder: Path
    reader: str = ""
    classes: tuple[LabelClass, ...] = ()
    reading: int = 1


def is_project(folder: Path) -> bool:
    """Whether a folder holds a project."""
    return (folder / JOURNAL).is_file()


def open_project(wish: Wish, listener: Listener) -> Project:
    """Open a project, make it first where that is wished, and remember the reader in it.

    Raises
    ------
    ProjectError
        If the folder is no project, or cannot become one.
    """
    if wish.classes:
        Project.create(wish.folder, wish.folder.name, wish.classes)
    project = Project.open(wish.folder, wish.reader, listener, reading=wish.reading)
    if wish.reader and wish.reading == 1:
        name_reader(project, wish.reader)
    elif not wish.reader:
        project.reader = str(project.records.settings.get(READER, ""))
        project.session.reader = project.reader
    return project


def name_reader(project: Project, reader: str) -> None:
    """Let a reader correct from here on, and remember the name where the project can be written."""
    project.reader = project.session.reader = reader
    if not project.read_only and project.records.settings.get(READER) != reader:
        project.set(READER, reader)


def open_case(session: Session, volume: Volume) -> Case:
    """Open a scan, with all that takes long about it."""
    # napari imports it for the features of the first layer, on the window's thread.
    importlib.import_module("pandas")
    _ = volume.intensity
    return session.open(volume)


def project_in_words(project: Project, saved_at: float) -> str:
    """Return the dock's line about a project."""
    reader = f", {project.reader}" if project.reader else ""
    reader += ", second reading" if project.reading == 2 else ""
    if project.read_only:
        return f"Project {project.folder.name}: {as_sentence(project.read_only)}"
    return f"Project {project.folder.name}{reader}: saved {clock(saved_at)}"


def opened_in_words(project: Project) -> str:
    """Say what was found on opening a project."""
    if project.read_only:
        return as_sentence(project.read_only)
    if project.recovered:
        until = clock(project.saved.at)
        return f"The last sitting ended without closing; everything up to {until} is here."
    return f"Project {project.folder.name} is open."


def as_sentence(words: str) -> str:
    """Return words with a capital at the beginning and a full stop at the end."""
    return f"{words[:1].upper()}{words[1:].rstrip('.')}."


def clock(at: float) -> str:
    """Return a time of day, with the date unless it is today's."""
    then, today = time.localtime(at), time.localtime()
    same_day = then[:3] == today[:3]
    return time.strftime("%H:%M:%S" if same_day else "%Y-%m-%d %H:%M:%S", then)


def _named(classes: tuple[LabelClass, ...]) -> list[tuple[int, str]]:
    return [(c.id, c.name) for c in classes]


class Sitting(QObject):
    """The session under work: of an open project, or in memory.

    Parameters
    ----------
    changed
        Called when `words` may have changed.
    say
        Called with a sentence, and whether it is a problem.
    """

    _arrived = Signal(object)

    def __init__(
        self, changed: Callable[[], None], say: Callable[..., None], parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._changed = changed
        self._say = say
        self.project: Project | None = None
        self.busy = False
        self.session: Session | None = None
        self._learnt: Path | None = None
        self._paths: WeakKeyDictionary[Volume, Path] = WeakKeyDictionary()
        self._saved_at = 0.0
        self._in_trouble = False
        self._open: set[Project] = set()
        self._closed = False
        self._lock = threading.Lock()
        self._source = object()
        self._arrived.connect(self._on_news)
        self._gate = Gate(self._arrived.emit)
        self._background = Background(self._on_failure, self)

    @property
    def words(self) -> str:
        """The dock's line about the project."""
        if self.project is None:
            return IN_MEMORY
        return project_in_words(self.project, self._saved_at)

    @property
    def read_only(self) -> bool:
        """Whether there is a project that may not be changed."""
        return self.project is not None and bool(self.project.read_only)

    def learnable(self) -> Session | None:
        """Return the session, if the network may learn something new from it.

        What is learnt from a project that is open for reading only could not be noted, so that it
        would be learnt again without end.
        """
        session = None if self.read_only else self.session
        return session if session is not None and session.fresh_slices() else None

    def open(self, wish: Wish, then: Callable[[Project], None]) -> None:
        """Open a project, then hand it over; only `use` puts it in the place of the one before."""
        self._make(wish, lambda listener: self._keep(open_project(wish, listener)), then)

    def save_as(self, wish: Wish, then: Callable[[Project], None]) -> None:
        """Make a project of the work in memory, which may go on; use it, then hand it over."""
        session, weights = self.session, self._learnt
        assert session is not None

        def move(listener: Listener) -> Move:
            begun = begin_move(session, wish.folder, wish.reader, listener)
            self._keep(begun.project)
            return begun

        def go_on(begun: Move) -> None:
            project = begun.finish()
            self.use(project)
            name_reader(project, wish.reader)
            if weights is not None:
                self.keep_weights(weights)
            then(project)

        self._make(wish, move, go_on)

    def _make(self, wish: Wish, make: Callable[[Listener], _T], then: Callable[[_T], None]) -> None:
        if self.busy:
            self._say("A project is being opened; try again in a moment.")
            return
        self.busy = True
        self._say(f"Opening project {wish.folder.name}.")
        source, gate = object(), self._gate

        def heard(news: Any) -> None:
            gate((source, news))

        def go_on(made: _T) -> None:
            self.busy = False
            self._source = source
            then(made)

        listener = Listener(saved=heard, trouble=heard)
        self._background.run(lambda: make(listener), go_on)

    def use(self, project: Project | None) -> None:
        """Work with a project from here on, and close the one before; None: only close that."""
        before, self.project = self.project, project
        self.session = None if project is None else project.session
        self._saved_at = 0.0 if project is None else project.saved.at
        self._in_trouble = False
        if before is not None:
            self._background.run(lambda: self._close_one(before), lambda _: None)
        self._changed()

    @property
    def has_work(self) -> bool:
        """Whether somebody corrected anything in this sitting."""
        return self.session is not None and any(c.corrections for c in self.session.cases.values())

    def session_for(self, classes: tuple[LabelClass, ...]) -> Session:
        """Return the project's session, else the one in memory, for these classes.

        Raises
        ------
        ProjectError
            If the project has other classes, work with other classes is in memory only, or a
            project is being opened.
        """
        if self.busy:
            raise ProjectError("a project is being opened; try again in a moment")
        session = self.session
        if session is not None and _named(session.classes) == _named(classes):
            return session
        if self.project is not None and session is not None:
            names = ", ".join(c.name for c in session.classes)
            raise ProjectError(f"the classes of this project are: {names}; enter these")
        if self.has_work:
            raise ProjectError("the classes differ from those you are correcting; save and restart")
        self.session = Session(classes)
        return self.session

    def remember(self, volume: Volume, path: Path) -> None:
        """Learn where a scan was opened from, so that a project can find it again."""
        self._paths[volume] = path

    def note_case(self, case: Case) -> None:
        """Remember in the project that this case was worked on last, and where its scan lies."""
        project = self.project
        record = None if project is None else project.records.by_digest(case.volume.digest)
        if project is None or record is None or project.read_only:
            return
        if project.records.settings.get(LAST_CASE) != record.name:
            project.set(LAST_CASE, record.name)
        path = self._paths.get(case.volume)
        if path is not None and project.scans.path_of(record.name) != path:
            self.run(lambda: project.scans.put(record.name, path))

    def keep_weights(self, checkpoint: Path) -> None:
        """Copy weights that were learnt into the project."""
        project = self.project
        self._learnt = checkpoint
        if project is not None and not project.read_only:
            self.run(lambda: project.add_checkpoint(checkpoint))

    def run(
        self,
        work: Callable[[], Any],
        then: Callable[[Any], None] = lambda _: None,
        failed: Failed | None = None,
    ) -> None:
        """Do slow work on the project off the window's thread, as `Background.run`."""
        self._background.run(work, then, failed)

    def close(self) -> None:
        """Save what is left and close every project; returns when all is on the disk, or said."""
        self._gate.close()
        with self._lock:
            self._closed = True
        self._background.close()
        for project in tuple(self._open):
            try:
                self._close_one(project)
            except CriiError as error:
                _log.error("%s", error)

    def _keep(self, project: Project) -> Project:
        """Remember an open project, so that it is closed; close it if the window was faster."""
        with self._lock:
            closed = self._closed
            if not closed:
                self._open.add(project)
        if closed:
            project.close()
        return project

    def _close_one(self, project: Project) -> None:
        with self._lock:
            self._open.discard(project)
        project.close()

    def _on_news(self, arrived: tuple[object, Saved | str]) -> None:
        source, news = arrived
        if source is not self._source or self.project is None:
            return
        if isinstance(news, str):
            self._in_trouble = True
            self._say(f"{as_sentence(news)} Go on: it is kept in memory and tried again.", True)
            return
        self._saved_at = news.at
        if self._in_trouble:
            self._in_trouble = False
            self._say("Everything is on the disk again.")
        self._changed()

    def _on_failure(self, error: BaseException) -> None:
        self.busy = False
        self._say(as_sentence(str(error) or type(error).__name__), True)
