"""What napari hands out in no public way, or moved between 0.7 and 0.9."""

from __future__ import annotations

from typing import Any

from napari.components import ViewerModel
from qtpy.QtWidgets import QWidget


def camera_of(viewer: ViewerModel) -> Any:
    """Return the viewer's camera: it moved to the scene in napari 0.9."""
    scene = getattr(viewer, "scene", None)
    return viewer.camera if scene is None else scene.camera


def canvas_in(window: QWidget | None) -> QWidget | None:
    """Return the canvas in a window, None where there is none."""
    if window is None:
        return None
    widgets = window.findChildren(QWidget)
    return next((w for w in widgets if "CanvasBackend" in type(w).__name__), None)
