"""Slices are stacked where their headers put them, or refused with the fault named."""

from __future__ import annotations

import shutil

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

from napari_crii.geometry import Geometry
from napari_crii.io import read_scan
from tests.io.files import refusal


def shifted(data: pydicom.Dataset, shift) -> None:
    position = np.array(data.ImagePositionPatient, float) + shift
    data.ImagePositionPatient = [f"{v:.8g}" for v in position]


def along_normal(geometry: Geometry, distance: float) -> np.ndarray:
    return np.array(geometry.direction[0]) * distance


def test_slices_ascend_along_the_normal_whatever_their_names(write_series, pixels, oblique):
    volume = read_scan(write_series(pixels))
    np.testing.assert_array_equal(volume.array, pixels)
    assert volume.array.dtype == np.int16
    assert volume.geometry.coincides(oblique, volume.shape)
    assert volume.remarks == ()
    assert volume.geometry.frame_of_reference.startswith("1.2.826")


def test_a_stack_written_downwards_is_turned_upwards(write_series, pixels, oblique):
    volume = read_scan(write_series(pixels, geometry=oblique.flipped(0, pixels.shape)))
    np.testing.assert_array_equal(volume.array, pixels[::-1])
    assert volume.geometry.coincides(oblique, volume.shape)


def test_rows_and_columns_keep_their_own_spacing(write_series, pixels):
    geometry = Geometry((4.0, 0.5, 2.0))
    assert read_scan(write_series(pixels, geometry=geometry)).geometry.spacing == (4.0, 0.5, 2.0)


def test_a_missing_slice_is_located(write_series, pixels):
    folder = write_series(pixels)
    (folder / "0897.dcm").unlink()
    message = refusal(folder)
    assert "between slice 3 and 4" in message
    assert "8 mm instead of 4 mm" in message


@pytest.mark.parametrize(("gap", "accepted"), [(0.01, True), (0.02, True), (0.1, False)])
def test_gaps_may_differ_by_a_hundredth_and_this_is_told(
    write_series, pixels, oblique, gap, accepted
):
    folder = write_series(
        pixels, lambda i, data: shifted(data, along_normal(oblique, gap if i == 2 else 0))
    )
    if accepted:
        (remark,) = read_scan(folder).remarks
        assert f"between {4 - gap:.4g} and {4 + gap:.4g} mm" in remark
    else:
        assert "not an even stack" in refusal(folder)


def test_identical_copies_are_dropped_and_told(write_series, pixels):
    folder = write_series(pixels)
    shutil.copy(folder / "0898.dcm", folder / "copy.dcm")
    volume = read_scan(folder)
    np.testing.assert_array_equal(volume.array, pixels)
    assert "1 identical" in " ".join(volume.remarks)


def test_a_folder_copied_into_itself_is_one_volume(write_series, rng):
    array = rng.integers(0, 900, (4, 7, 9)).astype(np.int16)
    folder = write_series(array, lambda i, data: setattr(data, "InstanceNumber", i))
    for file in list(folder.iterdir()):
        shutil.copy(file, folder / f"copy of {file.name}")
    volume = read_scan(folder)
    np.testing.assert_array_equal(volume.array, array)
    assert any("4 identical copies" in r for r in volume.remarks)


def test_two_slices_at_one_position_that_differ_are_refused(write_series, pixels, oblique):
    def fold(index, data):
        if index == 4:
            shifted(data, along_normal(oblique, -4.0))

    assert "same position" in refusal(write_series(pixels, fold))


def test_a_tilted_gantry_is_kept_as_shear(write_series, pixels):
    affine = np.eye(4)
    affine[:3, :3] = [[0, 0, 1.3], [0.9, 0.7, 0], [4.0, 0, 0]]
    tilted = Geometry.from_affine(affine)
    volume = read_scan(write_series(pixels, geometry=tilted))
    assert volume.geometry.is_sheared
    assert volume.geometry.coincides(tilted, volume.shape)
    assert "13 degrees" in " ".join(volume.remarks)
    np.testing.assert_array_equal(volume.array, pixels)


def test_a_sideways_step_in_mid_stack_is_refused(write_series, pixels, oblique):
    step = np.array(oblique.direction[2]) * 0.3
    folder = write_series(pixels, lambda i, data: shifted(data, step if i > 2 else 0))
    assert "between slice 3 and 4" in refusal(folder)


def test_frames_of_reference_that_differ_are_told_and_not_kept(write_series, pixels):
    volume = read_scan(
        write_series(pixels, lambda i, data: setattr(data, "FrameOfReferenceUID", generate_uid()))
    )
    assert volume.geometry.frame_of_reference == ""
    assert "frames of reference" in " ".join(volume.remarks)


def test_an_image_without_position_is_opened_alone_and_its_orientation_called_unknown(
    write_series, pixels
):
    def x_ray(index, data):
        del data.ImageOrientationPatient, data.ImagePositionPatient

    volume = read_scan(write_series(pixels[:1], x_ray))
    assert volume.geometry.spacing[1:] == pytest.approx((0.7, 1.3))
    assert "orientation unknown" in " ".join(volume.remarks)


def test_an_image_without_any_size_counts_in_pixels(write_series, pixels):
    def photograph(index, data):
        del data.ImageOrientationPatient, data.ImagePositionPatient, data.PixelSpacing

    assert read_scan(write_series(pixels[:1], photograph)).is_image
