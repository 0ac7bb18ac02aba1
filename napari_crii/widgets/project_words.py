"""What the dock says of a project: where the work is kept, since when, and what was found."""

from __future__ import annotations

import time
from pathlib import Path

from napari_crii.session.project import Project
from napari_crii.widgets.sentences import as_sentence

_LONGEST_NAME = 24
IN_MEMORY = "No project: your work lives in memory until you save the mask."


def project_in_words(project: Project) -> str:
    """Return the dock's line about a project, without what changes with every stroke."""
    reader = f", {project.reader}" if project.reader else ""
    reader += ", second reading" if project.reading == 2 else ""
    if project.read_only:
        return f"Project {project.folder.name}: {as_sentence(project.read_only)}"
    return f"Project {project.folder.name}{reader}"


def opened_in_words(project: Project) -> str:
    """Say what was found on opening a project."""
    if project.read_only:
        return as_sentence(project.read_only)
    if project.recovered:
        until = clock(project.saved.at)
        return f"The last sitting ended without closing; everything up to {until} is here."
    return f"Project {project.folder.name} is open."


def going_on(folder: Path) -> str:
    """Return what the button says that opens the project which a crash left."""
    name = folder.name
    return f"Go on with {name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + '…'}"


def left_in_words(folder: Path) -> str:
    """Say that the window of a project went without closing it."""
    return (
        f"The last sitting with project {folder.name} ended without closing. "
        f"Press '{going_on(folder)}' to find everything that was saved."
    )


def clock(at: float) -> str:
    """Return a time of day, with the date unless it is today's."""
    then, today = time.localtime(at), time.localtime()
    same_day = then[:3] == today[:3]
    return time.strftime("%H:%M:%S" if same_day else "%Y-%m-%d %H:%M:%S", then)
