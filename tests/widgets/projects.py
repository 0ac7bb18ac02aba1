"""Steps on a window with a project."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import QLabel

from napari_crii.session.project import Project
from napari_crii.session.reading import Reading
from tests.widgets.conftest import CLASSES
from tests.widgets.driver import HUMAN, Window

SLICE = 3


def project_words(window: Window) -> str:
    return str(window.assistant.findChild(QLabel, "crii_project").text())


def enter(window: Window, folder: Path) -> None:
    """Open a project, and wait until it is."""
    window.assistant.projects.open(folder)
    window.until(lambda: not window.controller.sitting.busy)


def open_scan(window: Window, scan: Path) -> None:
    """Open a scan through the dock, and its case."""
    window.assistant._open_path(str(scan))
    window.until(lambda: window.status == f"{scan.name} is open.")
    window.assistant.enter(window.viewer.layers[-1].name, None, CLASSES)
    window.begin()


def restored(window: Window) -> None:
    """Wait until the scan that was worked on last is there, with its case."""
    window.until(lambda: window.controller.state.has_case)
    window.qtbot.wait(50)


def paint(window: Window, row: int, label: int = 2, release: bool = True) -> None:
    window.show(SLICE)
    window.activate(HUMAN, "paint").selected_label = label
    window.stroke((row, 10), (row, 14), (row, 20), release=release)


def work_of(folder: Path, name: str = "case-001") -> Reading:
    """Return what is on the disk."""
    with Project.open(folder, read_only=True) as project:
        return project.restored(project.records.cases[name])
