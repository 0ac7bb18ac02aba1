"""The project behind the window: opened and heard off the window's thread, closed for certain."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from qtpy.QtCore import QObject, Signal

from napari_crii.classes import LabelClass
from napari_crii.errors import ProjectError
from napari_crii.session import Case, Session
from napari_crii.session.journal import Listener, Saved
from napari_crii.session.moving import Move, begin_move
from napari_crii.session.project import Project
from napari_crii.session.weights import PublishedWeights, with_digest
from napari_crii.volume import Volume
from napari_crii.widgets.background import Background, Failed, Gate
from napari_crii.widgets.open_projects import OpenProjects
from napari_crii.widgets.project_words import IN_MEMORY, clock, project_in_words
from napari_crii.widgets.sentences import as_sentence, reason_of
from napari_crii.widgets.wish import Wish, name_reader, open_project

LAST_CASE = "last_case"
_T = TypeVar("_T")


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
        self._choices: dict[str, Any] = {}
        self._paths: WeakKeyDictionary[Volume, Path] = WeakKeyDictionary()
        self._saved_at = 0.0
        self._in_trouble = False
        self._projects = OpenProjects()
        self._source = object()
        self._arrived.connect(self._on_news)
        self._gate = Gate(self._arrived.emit)
        self._background = Background(self._on_failure, self)

    @property
    def words(self) -> str:
        """The dock's line about the project."""
        if self.project is None:
            return IN_MEMORY
        return project_in_words(self.project)

    @property
    def saved(self) -> str:
        """When the project was last written and verified, as a time of day; ``""`` without one."""
        return "" if self.project is None or self.read_only else clock(self._saved_at)

    @property
    def read_only(self) -> bool:
        """Whether there is a project that may not be changed."""
        return self.project is not None and bool(self.project.read_only)

    @property
    def teaching(self) -> Session | None:
        """The session, if it may be learnt from.

        What is learnt from a project that is open for reading only could not be noted, so that it
        would be learnt again without end.
        """
        return None if self.read_only else self.session

    def learnable(self, again: bool = False) -> Session | None:
        """Return the session, if the network may learn something new from it, or `again`."""
        session = self.teaching
        if session is None or not (session.teaches() if again else session.fresh_slices()):
            return None
        return session

    def open(self, wish: Wish, then: Callable[[Project], None]) -> None:
        """Open a project, then hand it over; only `use` puts it in the place of the one before."""
        self._make(wish, lambda listener: self._projects.keep(open_project(wish, listener)), then)

    def save_as(self, wish: Wish, then: Callable[[Project], None]) -> None:
        """Make a project of the work in memory, which may go on; use it, then hand it over."""
        session = self.session
        assert session is not None

        def move(listener: Listener) -> Move:
            begun = begin_move(session, wish.folder, wish.reader, listener)
            self._projects.keep(begun.project)
            return begun

        def go_on(begun: Move) -> None:
            project = begun.finish()
            self.use(project)
            name_reader(project, wish.reader)
            for name, value in self._choices.items():
                project.set(name, value)
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
            self._background.run(lambda: self._projects.close(before), lambda _: None)
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

    def keep_weights(
        self, one: PublishedWeights, done: Callable[[bool], None] = lambda kept: None
    ) -> None:
        """Keep weights and use them: copied into the project, else in the list of the sitting.

        `done` is called at the end, with whether they were kept. If that failed, it has been said
        why; in a project that is open for reading only nothing is kept.
        """
        project, session = self.project, self.session

        def work() -> bool:
            if project is not None and not project.read_only:
                _keep_weights(project, one)
            elif project is None and session is not None:
                session.weights.add(with_digest(one))
            else:
                return False
            return True

        def failed(error: BaseException) -> None:
            self._on_failure(error)
            done(False)

        self.run(work, done, failed)

    def chosen(self, name: str) -> Any:
        """Return what was chosen under this name, in the project or in this sitting; or None."""
        settings = {} if self.project is None else self.project.records.settings
        return settings.get(name, self._choices.get(name))

    def choose(self, name: str, value: Any) -> None:
        """Keep a choice: in the project, where there is one that can be written."""
        self._choices[name] = value
        project = self.project
        if project is not None and not project.read_only:
            project.set(name, value)

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
        self._background.close()
        self._projects.close_all()

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
        self._say(as_sentence(reason_of(error)), True)


def _keep_weights(project: Project, one: PublishedWeights) -> None:
    assert one.path is not None
    project.weights.use(project.weights.add(one.path, one))
