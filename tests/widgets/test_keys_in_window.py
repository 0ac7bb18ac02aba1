"""Real key presses on the canvas: going through patches, accepting, undoing."""

from __future__ import annotations

import numpy as np
import pytest

from napari_crii.patches import Reason
from napari_crii.session import Act, SliceStatus
from napari_crii.widgets._compat import camera_of
from tests.widgets.conftest import proposal

pytestmark = [pytest.mark.gui, pytest.mark.both]


@pytest.fixture
def window(open_window, engine):
    window = open_window()
    window.propose(engine.last)
    return window


@pytest.fixture
def keys():
    from tests.widgets.driver import CONTROL, NO_KEY, SHIFT, Qt

    return {
        "next": (Qt.Key.Key_N, NO_KEY),
        "previous": (Qt.Key.Key_N, SHIFT),
        "patch": (Qt.Key.Key_G, NO_KEY),
        "slice": (Qt.Key.Key_K, NO_KEY),
        "undo": (Qt.Key.Key_Z, CONTROL),
        "redo": (Qt.Key.Key_Z, CONTROL | SHIFT),
    }


def current(window):
    return window.controller.review.current


def assert_shown(window, patch):
    """The patch is on display: its slice, centred, and its sentence in the dock."""
    _, rows, columns = window.case.volume.slice_spacing
    row, column = patch.box.center
    camera = camera_of(window.viewer)
    assert window.slice == patch.slice
    assert np.allclose(camera.center[1:], (row * rows, column * columns))
    assert f"doubt {patch.score:.2f}, on slice {patch.slice + 1}" in window.controller.state.patch


def test_n_goes_to_the_next_patch_and_shift_n_back(window, keys):
    before = camera_of(window.viewer).zoom
    queue = window.controller.review.patches
    assert len(queue) == 12
    window.key(*keys["next"])
    assert_shown(window, queue[0])
    assert queue[0].reason is Reason.REGION
    zoom = camera_of(window.viewer).zoom
    assert zoom >= before
    window.key(*keys["next"])
    assert_shown(window, queue[1])
    assert camera_of(window.viewer).zoom == zoom
    window.key(*keys["previous"])
    assert_shown(window, queue[0])
    window.key(*keys["previous"])
    assert_shown(window, queue[-1])


@pytest.mark.parametrize("active", ["Human mask", "phantom", "Patches to check", "Proposal"])
def test_keys_accept_and_undo_whichever_layer_is_active(window, keys, active):
    window.activate(active)
    window.key(*keys["next"])
    patch = current(window)
    window.key(*keys["patch"])
    assert f"Patch on slice {patch.slice + 1} accepted" in window.status
    assert window.case.corrections[-1].act is Act.ACCEPT_PATCH
    assert patch not in window.controller.review.patches
    assert current(window) is not None
    index = window.slice
    window.key(*keys["slice"])
    assert window.case.status(index) is SliceStatus.ACCEPTED
    assert np.array_equal(window.data("Human mask")[index], proposal(index).labels)
    assert not window.data("Proposal")[index].any()
    window.key(*keys["undo"])
    assert window.case.status(index) is not SliceStatus.ACCEPTED
    window.key(*keys["redo"])
    assert window.case.status(index) is SliceStatus.ACCEPTED
    window.key(*keys["undo"])
    window.key(*keys["undo"])
    assert not window.case.corrections
    assert patch in window.controller.review.patches
    assert not window.data("Human mask").any()
    assert window.data("Proposal")[index].any()


def test_undo_shows_the_slice_it_concerns(window, keys):
    window.show(1)
    window.key(*keys["slice"])
    window.show(4)
    window.key(*keys["undo"])
    assert window.slice == 1
    assert "Undone: accept slice on slice 2" in window.status


def test_keys_without_anything_to_act_on_say_so(open_window, engine, keys):
    window = open_window()
    window.begin()
    for name in ("next", "previous", "patch", "slice", "undo", "redo"):
        window.key(*keys[name])
    assert not window.case.corrections
    window.key(*keys["slice"])
    assert "Nothing is proposed or drawn on this slice yet" in window.status
    window.key(*keys["patch"])
    assert "Go to a patch first" in window.status


def test_keys_are_given_back_when_the_assistant_closes(window, keys):
    ours = {str(k) for k in window.viewer.keymap}
    assert {"N", "Shift+N", "G", "K"} <= ours
    window.assistant.shut_down()
    assert not {str(k) for k in window.viewer.keymap} & {"N", "Shift+N", "G", "K"}
    window.key(*keys["next"])
    window.key(*keys["undo"])


def test_closing_again_when_timers_and_viewer_are_gone_does_nothing(window, keys):
    controller = window.controller
    window.assistant.shut_down()
    for timer in (controller._soon, controller.network.learning._soon):
        timer.deleteLater()
    window.until(lambda: not alive(controller._soon))
    controller.close()
    window.assistant.shut_down()


def alive(timer) -> bool:
    try:
        timer.isActive()
    except RuntimeError:
        return False
    return True


def painted(window):
    """Paint two strokes with the mouse on slice 2; return what stood after the first one."""
    window.show(2)
    window.activate("Human mask", "paint").selected_label = 2
    window.stroke((30, 10), (30, 16))
    first = window.data("Human mask")[2].copy()
    window.stroke((34, 10), (34, 16))
    assert (window.data("Human mask")[2] != first).any()
    return first


def test_ctrl_z_undoes_strokes_after_the_layer_was_renamed(window, keys):
    first = painted(window)
    window.viewer.layers["Human mask"].name = "mine"
    window.show(4)
    window.key(*keys["undo"])
    assert window.slice == 2
    assert np.array_equal(window.data("mine")[2], first)
    window.key(*keys["undo"])
    assert window.case.status(2) is SliceStatus.UNTOUCHED
    assert not window.data("mine").any()
    assert np.array_equal(window.data("Proposal")[2], proposal(2).labels)
    window.key(*keys["redo"])
    assert np.array_equal(window.data("mine")[2], first)


def test_ctrl_z_undoes_strokes_after_the_layer_was_deleted(window, keys):
    first = painted(window)
    window.viewer.layers.remove("Human mask")
    window.show(4)
    window.activate("phantom")
    window.key(*keys["undo"])
    assert window.slice == 2
    assert np.array_equal(window.case.human.labels[2], first)
    window.key(*keys["undo"])
    assert window.case.status(2) is SliceStatus.UNTOUCHED
    window.key(*keys["redo"])
    window.begin()
    assert np.array_equal(window.data("Human mask")[2], first)
