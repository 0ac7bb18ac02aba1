"""A window with the assistant and a scan in it, to be measured."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import napari
from napari.settings import get_settings
from napari.viewer import Viewer
from qtpy.QtCore import QCoreApplication

from napari_crii.benchmark.window.event_loop import Done, Gaps, after, gaps_until
from napari_crii.demo import DemoTask
from napari_crii.widgets.app import open_assistant
from napari_crii.widgets.assistant import CriiAssistant
from napari_crii.widgets.learning_words import LearningMode

# About what napari takes when it is opened for the first time; later it remembers what the user
# had last. Figures hang on it.
WINDOW_SIZE = (1155, 630)
_CLOSING_SECONDS = 15.0
# Threads that serve a child, and those that see it off.
_SERVING = ("napari_crii.", "closing")


class Opened(NamedTuple):
    """A viewer, the assistant in it, and the gaps of the event loop while the scan was opened."""

    viewer: Viewer
    assistant: CriiAssistant
    gaps: Gaps


@contextmanager
def opened_window(task: DemoTask, size: tuple[int, int] = WINDOW_SIZE) -> Iterator[Opened]:
    """Open a window on a scan; it learns only when asked, and is shut down in the end."""
    remembered = get_settings().application.window_size
    viewer = napari.Viewer(title="napari-crii benchmark")
    viewer.window.resize(*size)
    docked: list[CriiAssistant] = []
    try:
        gaps = gaps_until(lambda: docked.append(_open(viewer, task)), _is_open(docked))
        yield Opened(viewer, docked[0], gaps)
    finally:
        _close(viewer, docked)
        get_settings().application.window_size = remembered


def _open(viewer: Viewer, task: DemoTask) -> CriiAssistant:
    """Dock the assistant and open the scan in it."""
    assistant = open_assistant(viewer, task)
    assistant.controller.network.mode = LearningMode.MANUAL
    assistant.begin()
    return assistant


def _is_open(docked: list[CriiAssistant]) -> Done:
    """Return what is done when all of the scan's layers stand and are painted."""
    painted = after()
    return lambda: bool(docked) and docked[0].controller.state.has_case and painted()


def _close(viewer: Viewer, docked: list[CriiAssistant]) -> None:
    """Shut down in order: a child's last word must not reach objects that are gone."""
    for assistant in docked:
        assistant.shut_down()
    _wait_for_children()
    viewer.close()
    QCoreApplication.processEvents()


def _wait_for_children() -> None:
    """Wait for the threads that see the children off: they kill those that stay."""
    for thread in threading.enumerate():
        if thread.name.startswith(_SERVING):
            thread.join(_CLOSING_SECONDS)
