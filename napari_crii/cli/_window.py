"""The demonstration in a window: the only part of the command line that needs Qt and napari."""

from __future__ import annotations

from napari_crii.demo import DemoTask


def show(task: DemoTask) -> int:
    """Open the window, and return the exit code when it is closed."""
    from napari_crii.widgets.app import run_demo

    return run_demo(task)
