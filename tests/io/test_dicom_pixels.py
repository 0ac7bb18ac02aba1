"""Pixels of DICOM files: packed or plain, rescaled, inverted, and the type that holds them."""

from __future__ import annotations

import shutil

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from pydicom.uid import MPEG2MPML, JPEGLSLossless

from napari_crii.io import dicom_pixels, read_scan
from napari_crii.io.dicom_headers import read_header
from tests.io.files import refusal


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


@pytest.mark.parametrize("stored", [8, 12, 16])
@pytest.mark.parametrize("signed", [True, False])
def test_plain_pixels_equal_pydicoms_whatever_stands_in_unused_bits(
    write_series, rng, stored, signed
):
    dtype = np.int16 if signed else np.uint16
    noise = rng.integers(0, 2**16, (3, 7, 9)).astype(np.uint16).view(dtype)

    def narrow(index, data):
        data.BitsStored, data.HighBit = stored, stored - 1

    folder = write_series(noise, narrow)
    volume = read_scan(folder)
    slices = [pydicom.dcmread(file) for file in folder.iterdir()]
    slices.sort(key=lambda data: float(data.ImagePositionPatient[2]))
    expected = np.stack([data.pixel_array for data in slices])
    np.testing.assert_array_equal(volume.array, expected)
    assert volume.array.dtype == expected.dtype


def test_pixels_of_an_unknown_kind_are_left_to_the_decoder(write_series, phases):
    folder = write_series(phases[0])
    for file in folder.iterdir():
        content = file.read_bytes()
        at = content.rindex(b"\xe0\x7f\x10\x00OW")
        file.write_bytes(content[: at + 4] + b"UN" + content[at + 6 :])
        assert read_header(file)[0].pixels_at is None
    np.testing.assert_array_equal(read_scan(folder).array, phases[0])


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
