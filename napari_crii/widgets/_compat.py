"""What moved between napari 0.7 and 0.9."""

from __future__ import annotations

from typing import Any

from napari.components import ViewerModel
from napari.components.overlays import TextOverlay

_PLACES = {
    "top": "top_center",
    "bottom": "bottom_center",
    "left": "middle_left",
    "right": "middle_right",
}
# Read on black, on grey and on white.
_COLOR = "#ffb000"


def camera_of(viewer: ViewerModel) -> Any:
    """Return the viewer's camera: it moved to the scene in napari 0.9."""
    scene = getattr(viewer, "scene", None)
    return viewer.camera if scene is None else scene.camera


def write_edge(viewer: ViewerModel, name: str, text: str) -> bool:
    """Write what lies at an edge of the canvas there; whether anything changed.

    Parameters
    ----------
    name
        A field of `Edges`. Before napari 0.9 one corner takes all the words.
    """
    canvas = getattr(viewer, "canvas", None)
    key = f"napari_crii_{name}"
    if canvas is None:
        return _write_corner(viewer, name, text)
    if key not in canvas.overlays:
        if text:
            # Without a box: that is half of what an overlay costs each frame.
            canvas.overlays[key] = TextOverlay(
                position=_PLACES[name],
                text=text,
                font_size=14,
                visible=True,
                box=False,
                color=_COLOR,
            )
        return bool(text)
    overlay = canvas.overlays[key]
    changed = bool(overlay.text != text)
    if changed:
        overlay.text, overlay.visible = text, bool(text)
    return changed


def remove_edges(viewer: ViewerModel) -> None:
    """Take away what `write_edge` wrote."""
    canvas = getattr(viewer, "canvas", None)
    for name in _PLACES:
        if canvas is None:
            _write_corner(viewer, name, "")
        else:
            canvas.overlays.pop(f"napari_crii_{name}", None)


def _write_corner(viewer: ViewerModel, name: str, text: str) -> bool:
    overlay = viewer.text_overlay
    kept = [line for line in overlay.text.splitlines() if not line.startswith(f"{name}: ")]
    words = "\n".join([*kept, *([f"{name}: {text}"] if text else [])])
    changed = bool(words != overlay.text)
    if changed:
        overlay.text, overlay.visible = words, bool(words)
    return changed
