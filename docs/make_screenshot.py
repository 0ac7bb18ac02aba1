"""Make the screenshot of the README: the real window on a scan, at work.

Needs a display (or ``xvfb-run -a -s "-screen 0 1600x1000x24 +extension GLX"``)::

    python docs/make_screenshot.py SCAN docs/images/window.png
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import napari
from qtpy.QtWidgets import QApplication

from napari_crii.demo import scan_task
from napari_crii.widgets.app import start_demo
from napari_crii.widgets.learning_words import LearningMode

PATIENCE_SECONDS = 300.0
FIRST_PATCHES = 2


def main(scan: str, picture: Path) -> None:
    """Open the scan, propose it whole, accept a slice, visit two patches, take the picture."""
    viewer = napari.Viewer(show=True)
    viewer.window.resize(1500, 940)
    assistant = start_demo(viewer, scan_task(scan))
    controller = assistant.controller
    controller.network.mode = LearningMode.MANUAL
    finished: list[bool] = []
    controller.proposed.connect(lambda: finished.append(True))
    wait(lambda: bool(finished))
    controller.accept_slice()
    for _ in range(FIRST_PATCHES):
        controller.go(1)
    wait(lambda: False, 2.0)
    picture.parent.mkdir(parents=True, exist_ok=True)
    viewer.window.screenshot(str(picture), canvas_only=False, flash=False)
    viewer.close()
    wait(lambda: False, 1.0)


def wait(done: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    """Let the window live until `done`, or for so many seconds."""
    until = time.monotonic() + seconds
    while not done() and time.monotonic() < until:
        QApplication.processEvents()
        time.sleep(0.01)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
