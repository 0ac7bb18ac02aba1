"""What moved between napari 0.7 and 0.9."""

from __future__ import annotations

from typing import Any

from napari.components import ViewerModel


def camera_of(viewer: ViewerModel) -> Any:
    """Return the viewer's camera: it moved to the scene in napari 0.9."""
    scene = getattr(viewer, "scene", None)
    return viewer.camera if scene is None else scene.camera
