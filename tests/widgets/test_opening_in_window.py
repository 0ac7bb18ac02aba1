"""Scans opened through the dock: read off the window's thread, one of several volumes chosen."""

from __future__ import annotations

import threading
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import napari_crii.io
from napari_crii.widgets import _questions

pytestmark = pytest.mark.gui


@pytest.fixture
def phases(tmp_path: Path) -> Path:
    """Return a file of three volumes, stored right to left; volume n holds n only."""
    values = np.broadcast_to(np.arange(3, dtype=np.int16), (7, 6, 5, 3))
    image = nib.Nifti1Image(values.copy(), np.diag([1.5, 1.5, 8.0, 1.0]))
    nib.save(image, tmp_path / "phases.nii.gz")
    return tmp_path / "phases.nii.gz"


def test_of_several_volumes_the_user_chooses_one(open_window, phases: Path, monkeypatch):
    threads, asked = [], []
    read_scan = napari_crii.io.read_scan

    def watched(*arguments):
        threads.append(threading.current_thread())
        return read_scan(*arguments)

    def answer(_parent, _title, question, last):
        asked.append((question, last))
        return answers.pop()

    answers: list[int | None] = [2, None]
    monkeypatch.setattr(napari_crii.io, "read_scan", watched)
    monkeypatch.setattr(_questions, "number", answer)
    window = open_window()
    layers = window.viewer.layers
    window.assistant._open_path(str(phases))
    window.until(lambda: window.status == "phases.nii.gz was not opened.")
    assert list(layers) == [layers["phantom"]]
    window.assistant._open_path(str(phases))
    window.until(lambda: "phases" in layers)
    assert (np.asarray(layers["phases"].data) == 2).all()
    assert asked[0][0].startswith("phases.nii.gz holds 3 volumes")
    assert asked[0][1] == 2
    assert threads
    assert threading.main_thread() not in threads
    # NIfTI's right to left, back to front: shown from below nevertheless.
    assert [str(part) for part in window.viewer.scene.camera.orientation[1:]] == ["up", "left"]
    window.assistant.enter("phases", None, window.assistant.task_form.classes())
    window.begin()
    assert "Remark: volume 2 of volumes 0 to 2" in window.controller.state.scan


def test_the_questions_are_plain_dialogs(qapp, monkeypatch):
    from qtpy.QtWidgets import QInputDialog, QMessageBox

    monkeypatch.setattr(QInputDialog, "getInt", lambda *given: (given[5], True))
    assert _questions.number(None, "title", "question", 4) == 4
    monkeypatch.setattr(QInputDialog, "getInt", lambda *given: (0, False))
    assert _questions.number(None, "title", "question", 4) is None
    monkeypatch.setattr(QInputDialog, "getItem", lambda *given: (given[3][1], True))
    assert _questions.choice(None, "title", "question", ["a", "b"]) == 1
    monkeypatch.setattr(QInputDialog, "getItem", lambda *given: (given[3][1], False))
    assert _questions.choice(None, "title", "question", ["a", "b"]) is None
    monkeypatch.setattr(QMessageBox, "question", lambda *given: given[4])
    assert not _questions.agrees(None, "title", "question")
    monkeypatch.setattr(QMessageBox, "question", lambda *given: QMessageBox.StandardButton.Yes)
    assert _questions.agrees(None, "title", "question")
