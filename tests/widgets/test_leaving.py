"""A script or a console that ends without closing its window."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.gui

PROGRAM = """
import sys, time
import napari
from qtpy.QtWidgets import QApplication
from napari_crii.demo import scan_task
from napari_crii.widgets.app import open_assistant

viewer = napari.Viewer(show=False)
assistant = open_assistant(viewer, scan_task(sys.argv[1]))
ready = []
assistant.begin(lambda: ready.append(True))
until = time.monotonic() + 60
while not ready and time.monotonic() < until:
    QApplication.processEvents()
    time.sleep(0.01)
assert assistant.controller.binding is not None
"""


def test_an_interpreter_that_ends_takes_the_window_down_without_a_word(scan: Path) -> None:
    program = [sys.executable, "-c", PROGRAM, str(scan)]
    done = subprocess.run(program, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
