"""The keys, in one table, kept clear of napari's own on the layers that are in use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from napari.components import ViewerModel
from napari.layers import Layer


@dataclass(frozen=True)
class Key:
    """A key and what it does, in words for the user."""

    action: str
    key: str
    shown: str
    words: str


KEYS = (
    Key("next_patch", "N", "N", "next patch"),
    Key("previous_patch", "Shift-N", "Shift+N", "previous patch"),
    Key("accept_patch", "G", "G", "patch is good: accept it"),
    Key("accept_slice", "K", "K", "slice is OK: accept it"),
    Key("undo", "Control-Z", "Ctrl+Z", "undo"),
    Key("redo", "Control-Shift-Z", "Ctrl+Shift+Z", "redo"),
)


def shown_key(action: str) -> str:
    """Return the key of an action as the user reads it."""
    return next(k.shown for k in KEYS if k.action == action)


def bind_keys(
    viewer: ViewerModel, layers: Sequence[Layer], actions: Mapping[str, Callable[[], None]]
) -> None:
    """Bind on the viewer and on our layers: a layer's key would hide the viewer's."""
    for key in KEYS:
        pressed = _ignoring_target(actions[key.action])
        for target in (viewer, *layers):
            target.bind_key(key.key, pressed, overwrite=True)


def unbind_keys(viewer: ViewerModel, layers: Sequence[Layer]) -> None:
    """Give the viewer and our layers their keys back."""
    for key in KEYS:
        for target in (viewer, *layers):
            target.bind_key(key.key, None, overwrite=True)


def _ignoring_target(act: Callable[[], None]) -> Callable[[Any], None]:
    def pressed(_target: Any) -> None:
        act()

    return pressed
