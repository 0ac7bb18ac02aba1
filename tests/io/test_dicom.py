"""A DICOM series is stacked where its headers put it, or refused with the fault named."""

from __future__ import annotations

import shutil

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from pydicom.uid import MPEG2MPML, JPEGLSLossless, generate_uid

from napari_crii.geometry import Geometry
from napari_crii.io import dicom_pixels, is_scan, read_scan
from tests.io.files import refusal


@pytest.fixture
def pixels(rng) -> np.ndarray:
    return rng.integers(-900, 900, (5, 7, 9)).astype(np.int16)


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


@pytest.mark.parametrize(
    ("keyword", "value", "rule"),
    [
        ("PixelSpacing", [0.7, 1.4], "pixel spacing"),
        ("BitsStored", 12, "bits"),
        ("ImagePositionPatient", None, "ImagePositionPatient"),
        ("NumberOfFrames", 3, "2 stacks"),
        ("PhotometricInterpretation", "PALETTE COLOR", "photometric"),
        ("RescaleSlope", 0, "rescale slope"),
        ("Rows", 65535, "promises"),
        ("ImageOrientationPatient", [1, 0, 0, 0, 2, 0], "length 2"),
        ("ImageOrientationPatient", [1, 0, 0, 1, 0, 0], "stacks"),
        ("PixelSpacing", [0.7], "PixelSpacing must hold 2"),
        ("PixelSpacing", [0, 0], "spacing"),
        ("PixelData", b"\0" * 60, "0898.dcm"),
    ],
)
def test_one_slice_that_breaks_a_rule_stops_the_series(write_series, pixels, keyword, value, rule):
    def spoil(index, data):
        if index == 2:
            setattr(data, keyword, value)

    assert rule in refusal(write_series(pixels, spoil))


@pytest.mark.parametrize(
    ("keyword", "value", "rule"),
    [
        ("ImageOrientationPatient", [1, 0, 0, 0.6, 0.8, 0], "not perpendicular"),
        ("PixelSpacing", None, "PixelSpacing"),
        ("ImageOrientationPatient", None, "do not tell where they lie"),
    ],
)
def test_a_series_that_breaks_a_rule_throughout_is_refused(
    write_series, pixels, keyword, value, rule
):
    assert rule in refusal(write_series(pixels, lambda i, data: setattr(data, keyword, value)))


def test_a_header_that_promises_more_than_the_file_holds_is_refused(write_series, pixels):
    def promise(index, data):
        data.Rows = data.Columns = 65535

    message = refusal(write_series(pixels[:1], promise))
    assert "8589672450 bytes" in message


def test_compression_without_a_codec_is_named(write_series, pixels):
    folder = write_series(pixels)
    shutil.copy(get_testdata_file("MR_small_jpeg_ls_lossless.dcm"), folder / "one.dcm")
    if pydicom.pixels.get_decoder(JPEGLSLossless).is_available:
        pytest.skip("a codec for JPEG-LS is installed here")
    assert "JPEG-LS Lossless" in refusal(folder / "one.dcm")


def test_a_video_is_no_scan(write_series, pixels):
    def film(index, data):
        data.file_meta.TransferSyntaxUID = MPEG2MPML
        data.PixelData = encapsulate([data.PixelData])

    folder = write_series(pixels[:1], film)
    assert "MPEG2" in refusal(folder)


@pytest.mark.parametrize("name", ["MR_small_RLE.dcm", "MR_small_jp2klossless.dcm"])
def test_compressed_slices_equal_the_uncompressed_ones(tmp_path, name):
    for number, source in enumerate(("MR_small.dcm", name)):
        (tmp_path / str(number)).mkdir()
        shutil.copy(get_testdata_file(source), tmp_path / str(number))
    plain, packed = read_scan(tmp_path / "0"), read_scan(tmp_path / "1")
    np.testing.assert_array_equal(plain.array, packed.array)


def test_whole_rescale_gives_whole_numbers(write_series, pixels):
    def hounsfield(index, data):
        data.RescaleSlope, data.RescaleIntercept = 2, -1024

    volume = read_scan(write_series(pixels, hounsfield))
    assert volume.array.dtype == np.int16
    np.testing.assert_array_equal(volume.array, 2 * pixels - 1024)


def test_a_rescale_that_leaves_16_bits_takes_32(write_series, pixels):
    def large(index, data):
        data.RescaleSlope, data.RescaleIntercept = 100, 7

    volume = read_scan(write_series(pixels, large))
    assert volume.array.dtype == np.int32
    np.testing.assert_array_equal(volume.array, pixels.astype(np.int32) * 100 + 7)


def test_a_rescale_beyond_integers_or_with_fractions_gives_float32(write_series, pixels):
    for slope in (1e7, 0.5):
        volume = read_scan(
            write_series(
                pixels, lambda i, d, s=slope: setattr(d, "RescaleSlope", s), folder=str(slope)
            )
        )
        assert volume.array.dtype == np.float32
        np.testing.assert_allclose(volume.array, pixels * slope, rtol=1e-6)


def test_slopes_that_differ_are_applied_slice_by_slice(write_series, pixels):
    def own_slope(index, data):
        data.RescaleSlope, data.RescaleIntercept = 0.5 + index, index

    volume = read_scan(write_series(pixels, own_slope))
    index = np.arange(5).reshape(5, 1, 1)
    assert volume.array.dtype == np.float32
    np.testing.assert_array_equal(volume.array, pixels * (0.5 + index) + index)
    assert "slice by slice" in " ".join(volume.remarks)


def test_monochrome1_is_inverted_within_its_stored_bits(write_series, pixels):
    def inverted(index, data):
        data.PhotometricInterpretation, data.BitsStored, data.HighBit = "MONOCHROME1", 12, 11

    unsigned = np.abs(pixels).astype(np.uint16)
    volume = read_scan(write_series(unsigned, inverted))
    np.testing.assert_array_equal(volume.array, 4095 - unsigned)
    assert "MONOCHROME1" in " ".join(volume.remarks)


def test_monochrome1_beyond_its_stored_bits_is_refused(write_series, pixels, monkeypatch):
    # pydicom cuts uncompressed values to their stored bits; a codec need not.
    flat = np.full((7, 9), 300, np.uint16)
    monkeypatch.setattr(dicom_pixels, "_is_plain", lambda header: False)
    monkeypatch.setattr(dicom_pixels, "pixel_array", lambda path, index: flat)

    def overflowing(index, data):
        data.PhotometricInterpretation, data.BitsStored, data.HighBit = "MONOCHROME1", 8, 7

    folder = write_series(np.zeros(pixels.shape, np.uint16), overflowing)
    assert "beyond its 8 stored bits" in refusal(folder)


def test_signed_monochrome1_keeps_its_range(write_series, pixels):
    def inverted(index, data):
        data.PhotometricInterpretation = "MONOCHROME1"

    np.testing.assert_array_equal(read_scan(write_series(pixels, inverted)).array, -1 - pixels)


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


def test_nothing_of_the_patient_enters_the_volume(write_series, pixels):
    volume = read_scan(write_series(pixels))
    assert "anary" not in repr(volume).lower()


def test_a_file_that_is_no_dicom_is_named(write_series, pixels):
    folder = write_series(pixels)
    (folder / "0001.dcm").write_bytes(b"this is text" * 50)
    assert "0001.dcm is not a DICOM file" in refusal(folder)


def test_a_slice_cut_anywhere_is_named(write_series, pixels):
    folder = write_series(pixels)
    path = folder / "0898.dcm"
    whole = path.read_bytes()
    for length in range(0, len(whole), 23):
        path.write_bytes(whole[:length])
        assert "0898.dcm" in refusal(folder), length


@pytest.mark.parametrize("content", ["empty", "text", "subfolder"])
def test_a_folder_without_images_is_refused(tmp_path, content):
    if content == "text":
        (tmp_path / "a.txt").write_text("x")
    if content == "subfolder":
        (tmp_path / "sub").mkdir()
    assert not is_scan(tmp_path)
    assert "holds no DICOM images" in refusal(tmp_path)
