"""Which project the user wishes for, and getting it: opened or made, its reader remembered.

Nothing here is Qt's, so that the sitting may do it on any thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_crii.classes import LabelClass
from napari_crii.session.journal import Listener
from napari_crii.session.project import Project
from napari_crii.session.project_folder import JOURNAL

READER = "reader"


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
