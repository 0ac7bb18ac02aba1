"""What a window that went without closing leaves is offered again, and nothing else is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from napari_crii.classes import numbered_classes
from napari_crii.session.project import Project
from napari_crii.widgets.open_projects import OpenProjects
from napari_crii.widgets.project_words import going_on, left_in_words
from napari_crii.widgets.unclosed import STATE, left_open, remember

pytestmark = pytest.mark.napari

DIE = """
import os, signal, sys
from pathlib import Path
from napari_crii.session.project import Project
from napari_crii.widgets.open_projects import OpenProjects
OpenProjects().keep(Project.open(Path(sys.argv[1])))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(STATE, str(tmp_path / "state"))
    Project.create(tmp_path / "hearts", "hearts", numbered_classes(["a"]))
    return tmp_path / "hearts"


def test_a_project_whose_window_was_killed_is_offered_until_it_is_open_again(folder: Path) -> None:
    assert left_open() is None
    killed = subprocess.run([sys.executable, "-c", DIE, str(folder)], check=False)
    assert killed.returncode < 0
    assert left_open() == folder
    projects = OpenProjects()
    project = projects.keep(Project.open(folder))
    assert left_open() is None
    projects.close(project)
    assert left_open() is None
    assert not list((folder.parent / "state").iterdir())


def test_a_reader_only_and_a_folder_that_is_gone_are_not_offered(folder: Path) -> None:
    projects = OpenProjects()
    projects.close(projects.keep(Project.open(folder, read_only=True)))
    assert not (folder.parent / "state").exists()
    remember(folder.with_name("gone"))
    assert left_open() is None
    (folder.parent / "state" / "broken.txt").write_bytes(bytes([255]))
    remember(folder)
    assert left_open() == folder


def test_where_nothing_can_be_remembered_nothing_is_offered(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(STATE, str(folder / "journal.sqlite" / "below"))
    projects = OpenProjects()
    project = projects.keep(Project.open(folder))
    assert left_open() is None
    projects.close(project)


def test_a_long_name_does_not_widen_the_button() -> None:
    assert going_on(Path("hearts")) == "Go on with hearts"
    assert going_on(Path("a" * 60)) == f"Go on with {'a' * 23}…"
    assert going_on(Path("a" * 60)) in left_in_words(Path("a" * 60))
