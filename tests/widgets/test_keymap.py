"""Our keys against napari's own; no window."""

from __future__ import annotations

import pytest
from app_model.types import KeyBinding

from napari_crii.widgets.keymap import KEYS, bind_keys, shown_key, unbind_keys

pytestmark = pytest.mark.napari

OURS_INSTEAD = {"undo", "redo"}


def bindings(action=None):
    return {KeyBinding.from_str(k.key.replace("-", "+")): k.action for k in KEYS}


def test_no_key_is_given_twice_and_each_has_words():
    assert len({k.key for k in KEYS}) == len({k.action for k in KEYS}) == len(KEYS)
    assert all(k.words for k in KEYS)
    assert shown_key("previous_patch") == "Shift+N"


def test_no_key_is_one_of_naparis_shortcuts():
    from napari.utils.shortcuts import default_shortcuts

    theirs = {key: name for name, keys in default_shortcuts.items() for key in keys}
    clashes = {ours: theirs[key] for key, ours in bindings().items() if key in theirs}
    assert not clashes


@pytest.mark.parametrize("kind", ["Labels", "Vectors", "Shapes", "Image"])
def test_no_key_is_bound_on_naparis_layers_except_undo_and_redo(kind):
    import napari.layers
    from napari.components import ViewerModel

    layer = getattr(napari.layers, kind)
    bound = {key for cls in layer.__mro__ for key in getattr(cls, "class_keymap", {})}
    bound |= set(ViewerModel.class_keymap)
    clashing = {action for key, action in bindings().items() if key in bound}
    assert clashing <= OURS_INSTEAD


def test_keys_act_on_the_viewer_and_on_our_layers_until_given_back():
    from napari.components import ViewerModel
    from napari.layers import Labels

    viewer, pressed = ViewerModel(), []
    import numpy as np

    layer = viewer.add_labels(np.zeros((3, 4, 5), dtype=np.uint8))
    assert isinstance(layer, Labels)
    actions = {k.action: lambda name=k.action: pressed.append(name) for k in KEYS}
    bind_keys(viewer, [layer], actions)
    for target in (viewer, layer):
        for key in bindings():
            target.keymap[key](target)
    assert pressed == [k.action for k in KEYS] * 2
    unbind_keys(viewer, [layer])
    assert not set(bindings()) & {*viewer.keymap, *layer.keymap}
