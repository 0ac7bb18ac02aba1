"""DICOM headers: which rules they must keep, and which oddities of theirs are none."""

from __future__ import annotations

import warnings

import numpy as np
import pydicom
import pytest
from pydicom.uid import ImplicitVRLittleEndian

from napari_crii.io import read_scan
from tests.io.files import refusal


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


def test_a_slice_cut_anywhere_is_named(write_series, pixels):
    folder = write_series(pixels)
    path = folder / "0898.dcm"
    whole = path.read_bytes()
    for length in range(0, len(whole), 23):
        path.write_bytes(whole[:length])
        assert "0898.dcm" in refusal(folder), length


def test_implicit_vr_is_read_alike(write_series, phases, oblique):
    folder = write_series(phases[0])
    other = folder.parent / "implicit"
    other.mkdir()
    for file in folder.iterdir():
        data = pydicom.dcmread(file)
        data.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
        data.save_as(other / file.name, implicit_vr=True, little_endian=True)
    volume = read_scan(other)
    np.testing.assert_array_equal(volume.array, phases[0])
    assert volume.geometry.coincides(oblique, volume.shape)


def test_uids_with_leading_zeros_are_read_without_a_warning(write_series, phases):
    def odd(index, data):
        data.SeriesInstanceUID = "1.2.03.004"
        data.FrameOfReferenceUID = "1.2.03.005"

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = write_series(phases[0], odd)
    np.testing.assert_array_equal(read_scan(folder).array, phases[0])


def test_a_header_of_megabytes_is_passed_over(write_series, phases):
    def huge(index, data):
        data.add_new(0x00291010, "OB", b"\0" * (3 << 20))

    np.testing.assert_array_equal(read_scan(write_series(phases[0], huge)).array, phases[0])
