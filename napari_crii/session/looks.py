"""Names and colours of classes, changed while work on them goes on; ids stay."""

from __future__ import annotations

import re
from dataclasses import asdict, replace

from napari_crii.classes import LabelClass
from napari_crii.errors import ProjectError
from napari_crii.session.project import Project
from napari_crii.session.records import CLASSES, require_classes
from napari_crii.session.session import Session

Classes = tuple[LabelClass, ...]


def restyled(classes: Classes, label: int, *, name: str = "", color: str = "") -> Classes:
    """Return classes of which one has another name or colour; what is ``""`` stays.

    Parameters
    ----------
    classes
        As they are.
    label
        Id of the class.
    name
        In the user's words; without commas, which separate names.
    color
        ``#rrggbb``.

    Raises
    ------
    ProjectError
        If there is no such class, the name is another one's, or the colour is none.
    """
    if label not in {c.id for c in classes}:
        raise ProjectError(f"there is no class {label}")
    if "," in name:
        raise ProjectError(f"'{name}' is no name of a class: commas separate names")
    if color and not re.fullmatch(r"#[0-9a-f]{6}", color):
        raise ProjectError(f"'{color}' is no colour: write it as #rrggbb")
    changed = tuple(
        replace(c, name=name or c.name, color=color or c.color) if c.id == label else c
        for c in classes
    )
    require_classes(changed)
    return changed


def restyle(session: Session, project: Project | None, classes: Classes) -> None:
    """Call and show the classes of a session so, in its project for good.

    Raises
    ------
    ReadOnlyError
        If the project is open for reading only.
    """
    if project is not None:
        project.set(CLASSES, [asdict(c) for c in classes])
    session.classes = classes
