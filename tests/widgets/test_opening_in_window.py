"""Scans opened through the dock: read off the window's thread, one of several volumes chosen."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest

import napari_crii.io.dicom
from napari_crii.phantom import make_phantom
from napari_crii.widgets import _questions
from tests.faults.series import write_series

pytestmark = pytest.mark.gui


@pytest.mark.parametrize("side", [40, 600])
def test_the_brush_is_drawn_once_while_a_scan_opens_and_not_by_the_first_stroke(
    open_window, monkeypatch, side
):
    from napari._vispy.overlays.brush_circle import VispyBrushCircleOverlay

    made, drawn, modes = [], [], set()
    build = VispyBrushCircleOverlay.__init__

    def counted(built, **settings):
        made.append(built)
        build(built, **settings)
        draw = built._white_circle.draw

        def watched():
            drawn.append(side)
            # A click in that moment must not be a stroke.
            modes.update(str(layer.mode) for layer in window.viewer.layers)
            draw()

        monkeypatch.setattr(built._white_circle, "draw", watched)

    monkeypatch.setattr(VispyBrushCircleOverlay, "__init__", counted)
    window = open_window(make_phantom((6, side, side))[0])
    window.begin()
    human = window.viewer.layers["Human mask"]
    assert len(made) == 1
    assert drawn
    assert modes == {"pan_zoom"}
    assert (human.mode, human.brush_size) == ("pan_zoom", 8)
    assert window.viewer.cursor.style == "standard"
    assert window.viewer.layers.selection.active is human
    assert not window.viewer.mouse_over_canvas
    human.mode = "paint"
    assert len(made) == 1


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
    window.until(lambda: window.assistant.task_form.choice().scan == "phases")
    window.assistant.enter("phases", None, window.assistant.task_form.classes())
    window.begin()
    assert "Remark: volume 2 of volumes 0 to 2" in window.controller.state.scan


def test_scans_opened_at_once_are_remembered_each_under_its_own_path(
    open_window, tmp_path: Path, monkeypatch
):
    paths = [tmp_path / f"{name}.nii.gz" for name in ("first", "second")]
    for path in paths:
        nib.save(nib.Nifti1Image(np.ones((5, 6, 7), np.int16), np.eye(4)), path)
    window = open_window()
    noted = []
    monkeypatch.setattr(
        window.controller.sitting, "remember", lambda volume, path: noted.append((volume, path))
    )
    for path in paths:
        window.assistant._open_path(str(path))
    window.until(lambda: len(noted) == 2)
    assert {volume.name: path for volume, path in noted} == {
        "first": paths[0],
        "second": paths[1],
    }


@pytest.fixture
def series(tmp_path: Path) -> Path:
    """Return a folder with five slices of 7 x 6 pixels, 8 mm apart, each of other values."""
    array = np.arange(5 * 7 * 6, dtype=np.uint16).reshape(5, 7, 6)
    affine = np.array([[0, 0, 1.5, 4], [0, 1.25, 0, 5], [8.0, 0, 0, 6], [0, 0, 0, 1]])
    write_series(tmp_path / "series", array, affine, seed=1)
    return tmp_path / "series"


@pytest.fixture
def gate(monkeypatch) -> Iterator[threading.Event]:
    """Hold the reading of scans back until this is set."""
    opened, read_scan = threading.Event(), napari_crii.io.read_scan

    def held(*arguments):
        assert opened.wait(60)
        return read_scan(*arguments)

    monkeypatch.setattr(napari_crii.io, "read_scan", held)
    yield opened
    opened.set()


def test_the_headers_of_a_series_are_read_once(open_window, series, monkeypatch):
    passes, read_headers = [], napari_crii.io.dicom.read_headers
    monkeypatch.setattr(
        napari_crii.io.dicom, "read_headers", lambda files: passes.append(1) or read_headers(files)
    )
    window = open_window()
    window.assistant._open_path(str(series))
    window.until(lambda: window.status == "series is open.")
    assert passes == [1]


@pytest.mark.parametrize("alone", [True, False])
def test_a_slice_of_a_series_is_seen_before_the_rest(open_window, series, gate, alone):
    window = open_window()
    layers, form = window.viewer.layers, window.assistant.task_form
    if alone:
        layers.clear()
    else:
        window.show(4)
    window.assistant._open_path(str(series))
    window.until(lambda: "series" in layers)
    first = layers["series"]
    assert (np.shape(first.data), window.status) == ((1, 7, 6), "Reading series.")
    # On display, where the viewer is, and not yet to be chosen.
    assert not first._slice.empty
    assert form.choice().scan == (None if alone else "phantom")
    seen = np.array(first.data[0])
    gate.set()
    window.until(lambda: window.status == "series is open.")
    window.until(lambda: form.choice().scan == "series")
    assert [layer.name for layer in layers] == ["series"] if alone else ["phantom", "series"]
    np.testing.assert_array_equal(np.ravel(first.data), np.arange(5 * 7 * 6))
    assert any(np.array_equal(seen, plane) for plane in first.data)
    assert (*first.scale, *first.translate) == (8.0, 1.25, 1.5, 0.0, 0.0, 0.0)
    stats = first.metadata["napari_crii_volume"].intensity
    assert tuple(first.contrast_limits) == (stats.low, stats.high)
    assert not alone or window.slice == 2
    window.begin()
    assert window.case.shape == (5, 7, 6)


def test_the_slice_of_a_refused_series_is_taken_away(open_window, series):
    shown = []
    window = open_window()
    window.begin()
    layers = window.viewer.layers
    names = [layer.name for layer in layers]
    layers.events.inserted.connect(lambda event: shown.append(event.value.name))
    before = [str(part) for part in window.viewer.scene.camera.orientation]
    next(p for p in series.iterdir() if pydicom.dcmread(p).InstanceNumber == 3).unlink()
    window.assistant._open_path(str(series))
    window.until(lambda: window.controller.state.is_error)
    assert shown == ["series"]
    assert [layer.name for layer in layers] == names
    assert "mm" in window.status
    assert window.assistant.task_form.choice().scan == "phantom"
    assert [str(part) for part in window.viewer.scene.camera.orientation] == before


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
