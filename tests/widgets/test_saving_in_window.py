"""Saving from the window: verified, on the scan's own grid, or one sentence."""

from __future__ import annotations

import itertools
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from qtpy.QtWidgets import QLabel, QScrollArea

from napari_crii.io import read_mask
from tests.factories import noise_scan
from tests.widgets.conftest import proposal

pytestmark = pytest.mark.gui


@pytest.fixture
def window(open_window, engine):
    window = open_window()
    window.propose(engine.last)
    window.show(2)
    window.controller.accept_slice()
    return window


def save(window, path: Path, include_proposals: bool) -> None:
    window.controller.save(path, include_proposals)
    window.until(lambda: not window.status.startswith("Saving"))


def corners_by_nibabel(path: Path) -> np.ndarray:
    image = nib.load(path)
    ends = itertools.product(*[(0, n - 1) for n in reversed(image.shape)])
    indices = np.array([(*reversed(c), 1) for c in ends], dtype=float)
    return (image.affine @ indices.T).T[:, :3] * (-1, -1, 1)


def corners_by_sitk(path: Path) -> np.ndarray:
    image = sitk.ReadImage(str(path))
    ends = itertools.product(*[(0, n - 1) for n in reversed(image.GetSize())])
    return np.array([image.TransformIndexToPhysicalPoint(tuple(reversed(c))) for c in ends])


@pytest.mark.parametrize("include", [True, False])
def test_the_mask_lies_on_the_scan_for_both_readers(window, tmp_path, phantom, include):
    path = tmp_path / "mask.nii.gz"
    save(window, path, include)
    assert "Saved and verified mask.nii.gz: 1 slices accepted by you" in window.status
    assert ("nobody has looked at" in window.status) is include
    truth = phantom.geometry.corners(phantom.shape)
    assert np.abs(corners_by_nibabel(path) - truth).max() < 1e-3
    assert np.abs(corners_by_sitk(path) - truth).max() < 1e-3
    labels, _ = read_mask(path, like=phantom)
    expected = np.zeros(phantom.shape, dtype=np.uint8)
    for index in range(6) if include else [2]:
        expected[index] = proposal(index).labels
    assert np.array_equal(labels, expected)
    assert np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(path))), expected)


def test_a_stroke_that_nobody_reported_is_saved_too(window, tmp_path, phantom):
    window.show(4)
    window.data("Human mask")[4, 30, 10:20] = 2
    save(window, tmp_path / "mask.nii.gz", False)
    labels, _ = read_mask(tmp_path / "mask.nii.gz", like=phantom)
    assert (labels[4, 30, 10:20] == 2).all()
    assert np.array_equal(labels[4, :25], proposal(4).labels[:25])


def test_a_target_that_cannot_be_written_is_one_sentence(window, tmp_path):
    for name in ("absent/mask.nii.gz", "mask.xyz", "mask.png"):
        save(window, tmp_path / name, True)
        assert window.controller.state.is_error
        assert window.status.startswith("Problem: ")
        assert "was not saved" in window.status
        assert "\n" not in window.status
        assert not list(tmp_path.glob("*mask*"))
    save(window, tmp_path / "mask.nii.gz", True)
    assert window.status.startswith("Saved and verified")


def test_a_scan_with_its_slices_along_another_axis_is_saved_in_its_own_order(
    open_window, engine, tmp_path
):
    scan = noise_scan(2, (4, 32, 36))
    window = open_window(scan)
    window.propose(engine.last)
    assert window.data("Proposal").shape == (4, 32, 36)
    save(window, tmp_path / "mask.nii.gz", True)
    labels, _ = read_mask(tmp_path / "mask.nii.gz", like=scan)
    assert np.array_equal(np.moveaxis(labels, 2, 0), window.data("Proposal"))


def test_the_save_button_completes_a_name(window, tmp_path, monkeypatch):
    ask = "napari_crii.widgets.assistant.QFileDialog.getSaveFileName"
    for chosen, written in (("", []), ("a", ["a.nii.gz"]), ("b.nii", ["a.nii.gz", "b.nii"])):
        answer = str(tmp_path / chosen) if chosen else ""
        monkeypatch.setattr(ask, lambda *_, answer=answer: (answer, ""))
        window.assistant.save_group.save.click()
        window.until(lambda: not window.status.startswith("Saving"))
        assert sorted(p.name for p in tmp_path.glob("*.nii*")) == written


def test_the_status_line_is_seen_whole_in_a_low_window(open_window):
    window = open_window()
    window.viewer.window._qt_window.resize(1280, 760)
    window.controller.say("Slice spacing varies between 7.99 and 8.01 mm. " * 3, True)
    status = window.assistant.findChild(QLabel, "crii_status")
    window.qtbot.wait(50)

    def whole() -> bool:
        seen = status.visibleRegion().boundingRect().size()
        return seen == status.size() and status.height() >= status.heightForWidth(status.width())

    window.until(whole)
    area = window.assistant.findChild(QScrollArea)
    assert area.verticalScrollBar().value() == 0
    # Nothing is cut off at the side.
    window.until(lambda: area.widget().width() <= area.viewport().width())


def test_how_learning_goes_can_be_scrolled_to_in_a_low_window(open_window):
    window = open_window()
    window.viewer.window.resize(1280, 600)
    box = window.assistant.learning_group.box
    window.until(lambda: box.visibleRegion().boundingRect().height() < box.height())
    window.assistant.show_learning()
    window.until(lambda: box.visibleRegion().boundingRect().height() == box.height())
