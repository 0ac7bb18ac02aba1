"""Contradictions and bombs in files, each found by a fault program, each refused in words."""

from __future__ import annotations

import gzip
import os
import zlib

import nibabel as nib
import numpy as np
import pydicom
import pytest
import tifffile
from PIL import Image
from pydicom.uid import DeflatedExplicitVRLittleEndian

from napari_crii.errors import WriteError
from napari_crii.geometry import Geometry
from napari_crii.io import read_scan, write_mask
from napari_crii.io._refusal import malformed
from tests.io.files import patched, refusal


@pytest.fixture
def pixels(rng) -> np.ndarray:
    return rng.integers(0, 900, (3, 6, 8)).astype(np.int16)


def setting(keyword, value):
    return lambda index, data: setattr(data, keyword, value)


@pytest.mark.parametrize(
    ("keyword", "value", "rule"),
    [
        ("Columns", 4, "Rows, Columns and frames promise 48 bytes of pixels, but it holds 96"),
        ("RescaleSlope", "1e38", "rescale slope of 1e+38, which makes values infinite"),
        ("PixelRepresentation", 2, "PixelRepresentation must be 0 or 1, not 2"),
    ],
)
def test_a_dicom_header_that_contradicts_its_pixels_is_refused(
    write_series, pixels, keyword, value, rule
):
    assert rule in refusal(write_series(pixels, setting(keyword, value)))


def test_text_where_a_number_must_stand_names_the_element(write_series, pixels):
    folder = write_series(pixels)
    path = sorted(folder.iterdir())[1]
    content = path.read_bytes()
    number = b"0.69999999" if b"0.69999999" in content else b"0.7"
    path.write_bytes(content.replace(number, b"x" * len(number), 1))
    message = refusal(folder)
    assert path.name in message
    assert "PixelSpacing" in message


def test_a_deflated_bomb_is_refused_before_it_is_unpacked(write_series, pixels):
    def deflated(index, data):
        data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian

    folder = write_series(pixels[:1], deflated)
    (path,) = folder.iterdir()
    content = path.read_bytes()
    start = 144 + pydicom.dcmread(path).file_meta.FileMetaInformationGroupLength
    packer = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = b"".join(packer.compress(b"\0" * (1 << 24)) for _ in range(5)) + packer.flush()
    path.write_bytes(content[:start] + packed)
    assert "decompresses to more than 64 MB" in refusal(folder)


@pytest.mark.parametrize("form", ["sform", "qform"])
def test_a_form_of_unknown_code_is_refused_and_not_dropped(tmp_path, labels, oblique, form):
    path = tmp_path / "a.nii"
    write_mask(path, labels, oblique)
    patched(path, {"qform": 252, "sform": 254}[form], (512).to_bytes(2, "little"))
    assert f"unknown {form}_code 512" in refusal(path)


def test_a_header_that_was_mended_is_told_and_nothing_is_printed(tmp_path, labels, oblique, capfd):
    path = tmp_path / "a.nii"
    write_mask(path, labels, oblique)
    patched(path, 0, (340).to_bytes(4, "little"))
    volume = read_scan(path)
    np.testing.assert_array_equal(volume.array, labels)
    assert "the header was mended on reading: sizeof_hdr" in " ".join(volume.remarks)
    assert capfd.readouterr().err == ""


def test_a_packed_stream_without_end_is_not_read_to_its_end(tmp_path, labels):
    path = tmp_path / "a.nii.gz"
    image = nib.Nifti1Image(labels.T, np.eye(4)).to_bytes()
    block = gzip.compress(b"\0" * (1 << 24))
    path.write_bytes(gzip.compress(image) + block * 17)
    assert "bytes follow the voxels" in refusal(path)


def test_a_tiff_that_does_not_tell_what_is_white_is_refused(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.arange(12, dtype=np.uint8).reshape(3, 4), photometric="minisblack")
    with tifffile.TiffFile(path) as file:
        at = file.pages[0].tags["PhotometricInterpretation"].offset
    patched(path, at, (65000).to_bytes(2, "little"))
    assert "PhotometricInterpretation" in refusal(path)


@pytest.mark.parametrize("mode", ["RGBA", "RGB", "L", "I;16", "1", "LA"])
def test_images_of_many_bands_equal_those_converted_at_once(tmp_path, rng, mode):
    shape = {"RGBA": (600, 5, 4), "RGB": (600, 5, 3), "LA": (600, 5, 2)}.get(mode, (600, 5))
    values = rng.integers(0, 2 if mode == "1" else 250, shape)
    dtype = {"I;16": np.uint16, "1": bool}.get(mode, np.uint8)
    image = Image.fromarray(values.astype(dtype))
    image.save(tmp_path / "a.png")
    expected = values[..., :3] if mode == "RGBA" else values
    expected = expected[..., 0] if mode == "LA" else expected
    expected = expected * 255 if mode == "1" else expected
    np.testing.assert_array_equal(read_scan(tmp_path / "a.png").array[0], expected)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (KeyError("x"), "its structure is damaged"),
        (TypeError("'NoneType' object is not subscriptable"), "its structure is damaged"),
        (AssertionError(), "its structure is damaged"),
        (
            ValueError("cannot reshape array of size 3"),
            "its header promises pixels of another size",
        ),
        (FileNotFoundError(2, "No such file or directory"), "no such file or directory"),
        (ValueError("PixelSpacing must hold 2 finite numbers"), "PixelSpacing must hold 2 finite"),
    ],
)
def test_failures_of_parsers_are_put_into_words(error, words):
    assert malformed(error).startswith(words)


def test_a_rename_that_the_disk_does_not_confirm_is_told_as_such(tmp_path, labels, monkeypatch):

    path, sync, turns = tmp_path / "m.nii", os.fsync, []
    write_mask(path, labels, Geometry())

    def failing(descriptor: int) -> None:
        turns.append(descriptor)
        if len(turns) == 2:
            raise OSError(5, "Input/output error")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(WriteError, match="holds the new content, but the disk did not confirm"):
        write_mask(path, labels + 1, Geometry())
    np.testing.assert_array_equal(read_scan(path).array, labels + 1)


def test_a_failed_verification_names_no_temporary_file(tmp_path, labels, monkeypatch):

    sync = os.fsync

    def losing(descriptor: int) -> None:
        sync(descriptor)
        for path in tmp_path.glob(".*"):
            path.unlink()

    monkeypatch.setattr(os, "fsync", losing)
    with pytest.raises(WriteError) as caught:
        write_mask(tmp_path / "m.png", labels[:1], Geometry.pixels())
    assert f"{tmp_path}/." not in str(caught.value)
    assert "Errno" not in str(caught.value)


@pytest.mark.skipif(os.name == "nt", reason="names are never bytes there")
@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_a_name_that_is_no_text_can_be_saved_to(tmp_path, labels, oblique, suffix):
    folder = tmp_path / os.fsdecode(b"gr\xf6\xdfe")
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    write_mask(folder / f"m{suffix}", labels, oblique)
    np.testing.assert_array_equal(read_scan(folder / f"m{suffix}").array, labels)


def test_an_image_whose_sidecar_would_have_too_long_a_name_is_saved(tmp_path, labels):
    path = tmp_path / ("x" * 251 + ".png")
    write_mask(path, labels[:1], Geometry.pixels())
    np.testing.assert_array_equal(read_scan(path).array, labels[:1])
    with pytest.raises(WriteError, match="name is too long"):
        write_mask(tmp_path / ("x" * 300 + ".png"), labels[:1], Geometry.pixels())
