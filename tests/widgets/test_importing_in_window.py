"""Masks from files: entered as finished slices, with the user's consent, and taken back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_crii.classes import numbered_classes
from napari_crii.io import write_mask
from napari_crii.session import Act, SliceStatus
from napari_crii.volume import Volume
from napari_crii.widgets import _questions
from tests.widgets.driver import CONTROL, SHIFT

pytestmark = pytest.mark.gui

ACCEPTED, UNTOUCHED = SliceStatus.ACCEPTED, SliceStatus.UNTOUCHED


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return a list of answers: the last is given to the next question."""
    given: list[Any] = []
    monkeypatch.setattr(_questions, "agrees", lambda *_: given.pop())
    monkeypatch.setattr(_questions, "choice", lambda *_: given.pop())
    return given


@pytest.fixture
def truth(phantom: Volume) -> np.ndarray:
    """Return a mask whose slices 1 to 3 hold labels 1 and 2."""
    labels = np.zeros(phantom.shape, dtype=np.uint8)
    labels[1:4, 8:20, 10:30] = 1
    labels[1:4, 12:16, 15:20] = 2
    return labels


def bring(window: Any, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Press the button, choose a file, wait for what becomes of it."""
    ask = "napari_crii.widgets.assistant.QFileDialog.getOpenFileName"
    monkeypatch.setattr(ask, lambda *_: (str(path), ""))
    window.controller.say("")
    window.assistant.slice_group.take_mask.click()
    waiting = ("Reading", "Opening", "Ready", "Choose")
    window.until(lambda: path.name in window.status and not window.status.startswith(waiting))


def test_slices_of_a_mask_are_entered_and_taken_back(
    open_window, engine, phantom, truth, tmp_path, monkeypatch, answers
):
    path = tmp_path / "mask.nii.gz"
    write_mask(path, truth, phantom.geometry)
    window = open_window()
    bring(window, path, monkeypatch)
    assert window.status.startswith("Imported 3 slices of mask.nii.gz as accepted")
    assert window.case.slices_with(ACCEPTED) == [1, 2, 3]
    assert np.array_equal(window.case.mask(False), truth)
    assert np.array_equal(window.data("Human mask"), truth)
    assert {c.act for c in window.case.corrections} == {Act.SEED}

    # A human's work stays unless he gives it up.
    window.show(2)
    window.activate("Human mask", "paint").selected_label = 2
    window.stroke((30, 10), (30, 16))
    drawn = window.data("Human mask")[2].copy()
    assert not np.array_equal(drawn, truth[2])
    answers[:] = [False]
    bring(window, path, monkeypatch)
    assert window.status == "Nothing was imported from mask.nii.gz."
    assert np.array_equal(window.data("Human mask")[2], drawn)
    answers[:] = [True]
    bring(window, path, monkeypatch)
    assert np.array_equal(window.data("Human mask"), truth)
    window.key(Qt.Key.Key_Z, CONTROL)
    assert np.array_equal(window.data("Human mask")[2], drawn)
    # The stroke, then all slices of the first import at once.
    for _ in range(2):
        window.key(Qt.Key.Key_Z, CONTROL)
    assert window.case.slices_with(UNTOUCHED) == list(range(6))
    assert not window.data("Human mask").any()
    window.key(Qt.Key.Key_Z, CONTROL | SHIFT)
    assert np.array_equal(window.data("Human mask"), truth)


def test_a_mask_does_not_touch_a_locked_class_nor_any_other_slice_then(
    open_window, phantom, truth, tmp_path, monkeypatch
):
    path = tmp_path / "mask.nii.gz"
    write_mask(path, truth, phantom.geometry)
    window = open_window()
    window.begin()
    window.case.lock([2])
    bring(window, path, monkeypatch)
    assert window.status.startswith("Problem: Nothing was imported from mask.nii.gz: class 2 is")
    assert not window.data("Human mask").any()


def test_another_grid_and_unknown_labels_are_asked_about(
    open_window, engine, phantom, truth, tmp_path, monkeypatch, answers
):
    elsewhere, foreign = tmp_path / "moved.nii.gz", tmp_path / "foreign.nii.gz"
    origin = np.array(phantom.geometry.origin) + phantom.geometry.affine[:3, 2] * 2
    moved = replace(phantom.geometry, origin=tuple(float(x) for x in origin))
    write_mask(elsewhere, truth, moved)
    write_mask(foreign, truth * 5, phantom.geometry)
    window = open_window(checkpoint=None)
    window.assistant.enter("phantom", None, numbered_classes(["lesion"]))

    answers[:] = [False]
    bring(window, elsewhere, monkeypatch)
    assert window.status == "moved.nii.gz was not imported: its grid is not the scan's."
    answers[:] = [None]
    bring(window, foreign, monkeypatch)
    assert window.status == "foreign.nii.gz was not imported."
    assert not window.case.corrections
    # "label 10 only", for a mask with labels 5 and 10.
    answers[:] = [2]
    bring(window, foreign, monkeypatch)
    assert np.array_equal(window.case.mask(False), truth == 2)
    # Consent to resampling, to all labels as one, and to replacing what was imported before.
    answers[:] = [True, 0, True]
    bring(window, elsewhere, monkeypatch)
    assert np.array_equal(window.case.mask(False)[:, :, 2:], (truth > 0)[:, :, :-2])
    assert not answers

    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(b"nothing")
    bring(window, broken, monkeypatch)
    assert window.controller.state.is_error
