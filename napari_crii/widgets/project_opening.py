"""Projects from the dock: a folder, the questions that it needs, and the scan of the last time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QWidget

from napari_crii._layers import LayerData, image_layer
from napari_crii.errors import CriiError, ProjectError
from napari_crii.session.project import Project
from napari_crii.session.records import CaseRecord
from napari_crii.widgets import _questions
from napari_crii.widgets.controller import AssistantController
from napari_crii.widgets.forms import TaskForm
from napari_crii.widgets.project_words import left_in_words, opened_in_words
from napari_crii.widgets.sentences import as_sentence, reason_of
from napari_crii.widgets.sitting import LAST_CASE
from napari_crii.widgets.unclosed import left_open
from napari_crii.widgets.weights import weights_to_open_with
from napari_crii.widgets.wish import READER, Wish, is_project, name_reader

TITLE, QUESTION = "Project", "Who corrects? The name is kept in the project."
SECOND_QUESTION = (
    "You start from empty slices. What the first reader drew stays hidden until you sign your own "
    "reading off. Who reads?"
)


class ProjectOpening(QObject):
    """Open or make projects for a controller.

    Parameters
    ----------
    parent
        The widget that questions belong to.
    controller
        Who works with the project.
    form
        Where the classes are entered.
    opened
        Called with the scan that was worked on last, as an image layer, and with what to do once
        its case is on display.
    """

    def __init__(
        self,
        parent: QWidget,
        controller: AssistantController,
        form: TaskForm,
        opened: Callable[[LayerData, Callable[[], None]], None],
    ) -> None:
        super().__init__(parent)
        self._widget = parent
        self._controller = controller
        self._form = form
        self._opened = opened
        self._reading = False

    def open(self, folder: Path) -> None:
        """Open a project, or make one of an empty folder: of the work in memory, if there is any.

        Its classes are those of that work, else those that are entered.
        """
        if not self._may_change(folder):
            return
        try:
            wish = Wish(folder) if is_project(folder) else self._new(folder)
        except CriiError as error:
            self._controller.say(as_sentence(str(error)), True)
            return
        sitting = self._controller.sitting
        if wish is None:
            return
        if self._in_memory:
            sitting.save_as(wish, self._on_saved)
        else:
            sitting.open(wish, self._on_project)

    def look_for_left(self, offer: Callable[[Path], None]) -> None:
        """Find the project that a crash left, off the window's thread; offer it, and say so."""

        def found(left: Path | None) -> None:
            if left is not None and self._controller.sitting.project is None:
                offer(left)
                self._controller.say(left_in_words(left))

        self._controller.sitting.run(left_open, found)

    @property
    def _in_memory(self) -> bool:
        """Whether there is work that no project keeps."""
        sitting = self._controller.sitting
        return sitting.project is None and sitting.has_work

    def _may_change(self, folder: Path) -> bool:
        """Whether another project can take over; if not, say why."""
        self._controller.sync()
        say, sitting = self._controller.say, self._controller.sitting
        project = sitting.project
        if self._controller.opening is not None:
            say("A scan is being opened; try again in a moment.")
        elif self._in_memory and is_project(folder):
            say(
                "Your work is in memory only: choose an empty folder, which becomes its project; "
                "or save the mask, open the project, then import it.",
                True,
            )
        elif project is not None and not project.read_only and project.folder == folder:
            say(f"Project {folder.name} is open.")
        else:
            return True
        return False

    def _new(self, folder: Path) -> Wish | None:
        if folder.is_dir() and any(folder.iterdir()):
            raise ProjectError(f"{folder.name} is neither a project nor empty; choose another")
        session = self._controller.session if self._in_memory else None
        classes = self._form.classes() if session is None else session.classes
        reader = _questions.text(self._widget, TITLE, QUESTION)
        if not reader:
            self._controller.say(f"{folder.name} was not made a project: no name was given.")
            return None
        return Wish(folder, reader, classes)

    def _on_project(self, project: Project) -> None:
        if not project.reader and not project.read_only:
            name_reader(project, _questions.text(self._widget, TITLE, QUESTION) or "")
        self._controller.use_project(project)
        words = opened_in_words(project)
        names = tuple(c.name for c in project.session.classes)
        choice = replace(self._form.choice(), classes=names)
        weights = weights_to_open_with(project, choice.checkpoint)
        self._form.enter(replace(choice, checkpoint=weights))
        if not _fits(self._form):
            self._form.enter(replace(choice, checkpoint=None))
        self._controller.say(words)
        last = project.records.cases.get(str(project.records.settings.get(LAST_CASE, "")))
        if last is not None and project.scans.is_there(last.name):
            self._read(project, last, words)

    def open_case(self, name: str) -> None:
        """Put another case of the open project on display."""
        project = self._controller.sitting.project
        if project is None or self._reading or self._controller.opening is not None:
            self._controller.say("A scan is being opened; try again in a moment.")
            return
        record = project.record_of(name)
        if not project.scans.is_there(name):
            self._controller.say(
                f"The scan of {name} is not where it was: open it again, its work comes back.", True
            )
            return
        self._controller.say(f"Opening {name}.")
        self._read(project, record, f"{name} is open.")

    def read_again(self, reading: int) -> None:
        """Open the project again for the first or the second reading."""
        project = self._controller.sitting.project
        if project is None or self._controller.opening is not None or self._reading:
            self._controller.say("A scan is being opened; try again in a moment.")
            return
        question = SECOND_QUESTION if reading == 2 else QUESTION
        reader = _questions.text(self._widget, TITLE, question, _last_reader(project, reading))
        if not reader:
            self._controller.say("Nothing was changed: no name was given.")
            return
        record = self._record_on_display(project)
        if reading == 2 and record is not None:
            try:
                project.require_other_reader(record, reader, reading)
            except ProjectError as error:
                self._controller.say(as_sentence(str(error)), True)
                return
        self._controller.use_project(None)
        self._controller.sitting.open(Wish(project.folder, reader, (), reading), self._on_project)

    def _record_on_display(self, project: Project) -> CaseRecord | None:
        case = self._controller.case
        return None if case is None else project.records.by_digest(case.volume.digest)

    def _read(self, project: Project, record: CaseRecord, words: str) -> None:
        """Read the scan of a case off the window's thread, then put it on display."""
        self._reading = True

        def read() -> LayerData:
            return image_layer(project.scans.read(record))

        def show(layer: LayerData) -> None:
            self._reading = False
            if self._controller.sitting.project is project:
                self._opened(layer, lambda: self._controller.say(words))

        def fail(error: BaseException) -> None:
            self._reading = False
            self._controller.say(as_sentence(reason_of(error)), True)

        self._controller.sitting.run(read, show, fail)

    def _on_saved(self, project: Project) -> None:
        """Go on with the same case, now in a project."""
        if self._controller.case is not None:
            self._controller.sitting.note_case(self._controller.case)
        self._controller.say(f"Your work is in project {project.folder.name} now.")


def _last_reader(project: Project, reading: int) -> str:
    """Return who did this reading last, to be proposed as the one who goes on; or ``""``."""
    if reading == 1:
        return str(project.records.settings.get(READER, ""))
    names = [by for key, by in project.records.readers.items() if key.endswith("/2")]
    return names[-1] if names else ""


def _fits(form: TaskForm) -> bool:
    """Whether the network that is chosen knows as many classes as are entered."""
    try:
        form.classes()
    except CriiError:
        return False
    return True
