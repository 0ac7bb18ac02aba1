"""Classes get other names and colours, and keep their ids."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_crii.classes import LabelClass, numbered_classes
from napari_crii.errors import JournalError, ProjectError, ReadOnlyError
from napari_crii.session import Session
from napari_crii.session.entries import make_entry
from napari_crii.session.looks import restyle, restyled
from napari_crii.session.project import Project
from tests.session.projects import new_project, opened

TWO = numbered_classes(["a", "b"])


def test_one_class_changes_and_the_others_stay():
    changed = restyled(TWO, 2, name="heart", color="#00ff7f")
    assert changed == (TWO[0], LabelClass(2, "heart", "#00ff7f"))
    assert restyled(TWO, 1) == TWO


@pytest.mark.parametrize(
    ("label", "look", "rule"),
    [
        (3, {"name": "c"}, "no class 3"),
        (1, {"name": "b"}, "same name"),
        (1, {"name": "a, b"}, "commas"),
        (1, {"color": "red"}, "no colour"),
        (1, {"color": "#12345"}, "no colour"),
    ],
)
def test_what_is_no_name_or_colour_is_refused(label, look, rule):
    with pytest.raises(ProjectError, match=rule):
        restyled(TWO, label, **look)


def test_a_session_in_memory_shows_its_classes_so():
    session = Session(TWO)
    restyle(session, None, restyled(TWO, 1, color="#123456"))
    assert [c.color for c in session.classes] == ["#123456", TWO[1].color]


def test_a_project_keeps_names_and_colours(tmp_path: Path):
    folder = new_project(tmp_path / "p")
    wanted = restyled(restyled(TWO, 1, name="heart"), 2, color="#010203")
    with opened(folder) as project:
        restyle(project.session, project, wanted)
        assert project.session.classes == project.records.classes == wanted
    with Project.open(folder, read_only=True) as project:
        assert project.session.classes == wanted
        with pytest.raises(ReadOnlyError):
            restyle(project.session, project, TWO)
        assert project.session.classes == wanted


def test_a_journal_cannot_swap_classes(tmp_path: Path):
    folder = new_project(tmp_path / "p")
    with opened(folder) as project:
        project.journal.append([make_entry("setting", "", {"name": "classes", "value": []})])
    with pytest.raises(JournalError, match="contradicts itself"):
        opened(folder)
