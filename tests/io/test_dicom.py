"""What makes a scan of DICOM files: a folder, one file, a medium; and a slice before the rest."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file

from napari_crii.errors import ScanError
from napari_crii.io import dicom_pixels, is_scan, read_scan
from napari_crii.io.dicom import open_series, preview_series
from tests.io.files import refusal


def test_a_file_stands_for_its_series(write_series, pixels):
    folder = write_series(pixels)
    write_series(pixels + 1)
    file = sorted(folder.iterdir())[-1]
    np.testing.assert_array_equal(read_scan(file).array, pixels)


def test_a_lone_file_is_one_slice_as_thick_as_it_says(write_series, pixels):
    volume = read_scan(next(write_series(pixels[:1]).iterdir()))
    assert volume.shape == (1, 7, 9)
    assert volume.geometry.spacing[0] == pytest.approx(4.0)
    assert volume.name == "0900.dcm"


def test_files_without_suffix_are_found_by_content(write_series, pixels):
    folder = write_series(pixels)
    for file in list(folder.iterdir()):
        file.rename(folder / f"IM{file.stem}")
    assert is_scan(folder)
    np.testing.assert_array_equal(read_scan(folder).array, pixels)
    np.testing.assert_array_equal(read_scan(folder / "IM0900").array, pixels)


def test_two_series_are_not_mixed_but_listed(write_series, pixels):
    folder = write_series(pixels)
    write_series(pixels[:2])
    message = refusal(folder)
    assert "2 stacks" in message
    assert "5 slices of 7 x 9" in message
    assert "2 slices of 7 x 9" in message


def test_a_localizer_of_the_same_series_is_a_stack_of_its_own(write_series, pixels):
    def turn(index, data):
        if index == 0:
            data.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]

    folder = write_series(pixels, turn)
    assert "2 stacks" in refusal(folder)
    assert read_scan(folder / "0900.dcm").shape == (1, 7, 9)
    np.testing.assert_array_equal(read_scan(folder / "0899.dcm").array, pixels[1:])


def test_reports_and_segmentations_beside_a_series_do_not_count(write_series, pixels):
    folder = write_series(pixels)
    shutil.copy(get_testdata_file("reportsi.dcm"), folder)
    write_series(pixels[:1], lambda index, data: setattr(data, "Modality", "SEG"))
    np.testing.assert_array_equal(read_scan(folder).array, pixels)


def test_other_files_are_told_but_a_dicomdir_is_not(write_series, pixels):
    folder = write_series(pixels)
    (folder / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    assert read_scan(folder).remarks == ()
    (folder / "notes.txt").write_text("no patient")
    assert "notes.txt" in " ".join(read_scan(folder).remarks)


def test_a_file_that_is_no_dicom_is_named(write_series, pixels):
    folder = write_series(pixels)
    (folder / "0001.dcm").write_bytes(b"this is text" * 50)
    assert "0001.dcm is not a DICOM file" in refusal(folder)


@pytest.mark.parametrize("content", ["empty", "text", "subfolder"])
def test_a_folder_without_images_is_refused(tmp_path, content):
    if content == "text":
        (tmp_path / "a.txt").write_text("x")
    if content == "subfolder":
        (tmp_path / "sub").mkdir()
    assert not is_scan(tmp_path)
    assert "holds no DICOM images" in refusal(tmp_path)


def medium(tmp_path: Path, folder: Path) -> Path:
    """Return a medium: a DICOMDIR, and a series two folders below it."""
    disc = tmp_path / "disc"
    (disc / "IMAGES").mkdir(parents=True)
    shutil.copytree(folder, disc / "IMAGES" / "S1")
    (disc / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    return disc


@pytest.mark.parametrize("named", ["", "DICOMDIR"])
def test_a_medium_is_searched_and_this_is_told(tmp_path, write_series, phases, named):
    disc = medium(tmp_path, write_series(phases[0]))
    assert is_scan(disc / named)
    volume = read_scan(disc / named)
    np.testing.assert_array_equal(volume.array, phases[0])
    assert any("subfolders were searched" in r for r in volume.remarks)


def test_a_medium_with_two_series_lists_where_they_are(tmp_path, write_series, phases):
    disc = medium(tmp_path, write_series(phases[0]))
    shutil.copytree(write_series(phases[1], folder="other"), disc / "IMAGES" / "S2")
    with pytest.raises(ScanError) as refusal:
        read_scan(disc)
    assert "2 stacks" in str(refusal.value)
    for name in ("S1", "S2"):
        assert str(Path("IMAGES", name, "0900.dcm")) in str(refusal.value)
    volume = read_scan(disc / "IMAGES" / "S2" / "0900.dcm")
    np.testing.assert_array_equal(volume.array, phases[1])


def test_nothing_of_the_patient_enters_the_volume(write_series, pixels):
    volume = read_scan(write_series(pixels))
    assert "anary" not in repr(volume).lower()


def test_a_slice_is_there_before_the_others_are_read(write_series, phases, oblique, monkeypatch):
    def scaled(index, data):
        data.RescaleSlope, data.RescaleIntercept = 0.5 + index, index

    folder = write_series(phases[0], scaled)
    read: list[Path] = []
    original = dicom_pixels._read_plain

    def counted(header, out):
        read.append(header.path)
        original(header, out)

    monkeypatch.setattr(dicom_pixels, "_read_plain", counted)
    series = open_series(folder)
    assert read == []
    assert series.shape == phases[0].shape
    assert series.geometry.coincides(oblique, series.shape)
    middle = series.read_slice(2)
    assert len(read) == 1
    volume = series.read()
    np.testing.assert_array_equal(middle, volume.array[2])
    for index in range(5):
        np.testing.assert_array_equal(series.read_slice(index), volume.array[index])


def test_a_preview_reads_one_file_only(write_series, phases, monkeypatch):
    folder = write_series(phases[0])
    (folder / "notes.txt").write_text("no image")
    opened: list[str] = []
    original = pydicom.dcmread
    monkeypatch.setattr(
        pydicom, "dcmread", lambda stream, **kw: opened.append("") or original(stream, **kw)
    )
    preview = preview_series(folder).array[0]
    assert len(opened) == 1
    assert any(np.array_equal(preview, slice_) for slice_ in read_scan(folder).array)


def test_a_preview_of_nothing_is_refused(tmp_path):
    with pytest.raises(ScanError, match="no DICOM images"):
        preview_series(tmp_path)
