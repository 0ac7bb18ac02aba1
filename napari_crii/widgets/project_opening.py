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
from napari_crii.widgets import _questions
from napari_crii.widgets.controller import AssistantController
from napari_crii.widgets.forms import TaskForm
from napari_crii.widgets.sitting import (
    LAST_CASE,
    Wish,
    as_sentence,
    is_project,
    name_reader,
    opened_in_words,
)

TITLE, QUESTION = "Project", "Who corrects? The name is kept in the project."


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
        weights = [path for path in project.checkpoint_paths() if path.is_file()]
        self._form.enter(replace(choice, checkpoint=weights[-1]) if weights else choice)
        if not _fits(self._form):
            self._form.enter(replace(choice, checkpoint=None))
        self._controller.say(words)
        last = project.records.cases.get(str(project.records.settings.get(LAST_CASE, "")))
        if last is None or not project.scans.is_there(last.name):
            return

        def read() -> LayerData:
            return image_layer(project.scans.read(last))

        self._controller.sitting.run(read, lambda layer: self._on_scan(project, layer, words))

    def _on_saved(self, project: Project) -> None:
        """Go on with the same case, now in a project."""
        if self._controller.case is not None:
            self._controller.sitting.note_case(self._controller.case)
        self._controller.say(f"Your work is in project {project.folder.name} now.")

    def _on_scan(self, project: Project, layer: LayerData, words: str) -> None:
        """Put the scan that was worked on last on display, with its masks."""
        if self._controller.sitting.project is project:
            self._opened(layer, lambda: self._controller.say(words))


def _fits(form: TaskForm) -> bool:
    """Whether the network that is chosen knows as many classes as are entered."""
    try:
        form.classes()
    except CriiError:
        return False
    return True
