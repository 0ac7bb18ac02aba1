"""Damaged files of every kind: a scan, or one sentence, and never anything else."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from pydicom.data import get_testdata_file

from napari_crii.errors import ScanError
from napari_crii.io import read_scan, write_mask
from napari_crii.io._refusal import refusing

KINDS = ["nii", "nii.gz", "nrrd", "mha", "dcm", "png", "tif", "jpg"]


@pytest.fixture
def intact(tmp_path, oblique, rng) -> dict[str, bytes]:
    """Return the bytes of a valid file of each kind."""
    labels = rng.integers(0, 9, (4, 16, 20))
    write_mask(tmp_path / "a.nii", labels, oblique)
    write_mask(tmp_path / "b.nii.gz", labels, oblique)
    for suffix in ("nrrd", "mha"):
        write_mask(tmp_path / f"a.{suffix}", labels, oblique)
    image = rng.integers(0, 255, (40, 30)).astype(np.uint8)
    Image.fromarray(image).save(tmp_path / "a.png")
    Image.fromarray(image).save(tmp_path / "a.jpg")
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="minisblack")
    files = {"nii.gz": tmp_path / "b.nii.gz", "dcm": Path(get_testdata_file("MR_small.dcm"))}
    return {k: files.get(k, tmp_path / f"a.{k}").read_bytes() for k in KINDS}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "damaged").mkdir()
    return tmp_path / "damaged"


def read_or_refuse(path: Path, content: bytes) -> np.ndarray | None:
    """Read damaged content as it would be in use, where warnings are not errors."""
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return read_scan(path).array
        except ScanError as error:
            sentence = str(error)
    assert str(path) in sentence
    assert len(sentence.splitlines()) == 1
    return None


@pytest.mark.parametrize("kind", KINDS)
def test_random_bytes_in_a_file_never_escape_as_another_error(intact, folder, rng, kind):
    outcomes = set()
    for _ in range(80):
        content = np.frombuffer(intact[kind], np.uint8).copy()
        # Headers matter most, and lie at the front; TIFF keeps its own at the end.
        reach = min(len(content), 700 if rng.random() < 0.7 else len(content))
        content[rng.integers(0, reach, rng.integers(1, 6))] = rng.integers(0, 256)
        if kind == "tif":
            content[-rng.integers(1, 200)] ^= 0xFF
        outcomes.add(read_or_refuse(folder / f"x.{kind}", content.tobytes()) is None)
    assert True in outcomes


@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_file_is_refused_or_complete(intact, folder, rng, kind):
    whole = read_or_refuse(folder / f"x.{kind}", intact[kind])
    assert whole is not None
    size = len(intact[kind])
    refused = 0
    for length in {0, 1, size - 1, size - 9, *rng.integers(2, size, 60).tolist()}:
        found = read_or_refuse(folder / f"x.{kind}", intact[kind][:length])
        refused += found is None
        if found is not None:
            np.testing.assert_array_equal(found, whole, err_msg=f"cut at {length} of {size}")
    assert refused >= 50


MISLABELLED = [(n, c) for n in KINDS for c in (*KINDS, "text", "zeros") if n != c]


@pytest.mark.parametrize(("name", "content"), MISLABELLED)
def test_a_file_by_another_name_is_refused(intact, folder, name, content):
    others = {"text": b"just some text\n" * 100, "zeros": b"\0" * 4000}
    assert read_or_refuse(folder / f"x.{name}", (intact | others)[content]) is None


def test_what_a_library_says_of_its_insides_is_not_our_sentence():
    with (
        pytest.raises(
            ScanError, match=r"^a\.tif is not a readable TIFF image: its structure is damaged$"
        ),
        refusing("a.tif", "TIFF image"),
    ):
        json.loads("{")


@pytest.mark.parametrize(("name", "field"), [("a.mha", "DimSize"), ("a.nrrd", "sizes")])
def test_a_field_that_a_header_lacks_is_named(tmp_path, oblique, name, field):
    write_mask(tmp_path / name, np.ones((3, 4, 5), np.uint8), oblique)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content.replace(field.encode(), b"other", 1))
    with pytest.raises(ScanError, match=f"its header has no field '{field}'"):
        read_scan(tmp_path / name)
