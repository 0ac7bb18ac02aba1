"""Pairing scans with masks by name."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from napari_crii.errors import ScanError
from napari_crii.io.pairs import pair_files, scan_stem, some_names, unpaired


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    return tmp_path / "images", tmp_path / "labels"


def _png(path: Path) -> Path:
    Image.new("L", (3, 3)).save(path)
    return path


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a.nii.gz", "a"), ("a.b.NII.GZ", "a.b"), ("a.nii", "a"), ("x/a.png", "a"),
        ("a.dcm", "a"), ("IM0001", "IM0001"), ("a.v2", "a.v2"), ("a.nrrd", "a"), ("a.MHA", "a"),
        ("a.gipl.gz", "a"), ("a.hdr", "a"),
    ],
)  # fmt: skip
def test_the_stem_is_the_name_without_a_known_suffix(name: str, stem: str) -> None:
    assert scan_stem(name) == stem


def test_a_folder_keeps_its_whole_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ED.nii").mkdir()
    assert scan_stem(tmp_path / "ED.nii") == "ED.nii"
    monkeypatch.chdir(tmp_path / "ED.nii")
    assert scan_stem(".") == "ED.nii"


def test_pairs_have_one_stem_whatever_their_kind(folders: tuple[Path, Path]) -> None:
    images, labels = folders
    for name in ("b.png", "a.jpg", "only.png", ".hidden.png"):
        _png(images / name)
    (images / "index.csv").write_text("file,patient")
    for name in ("a.png", "b.tif", "alone.png"):
        _png(labels / name)
    assert pair_files(images, labels) == [
        (images / "a.jpg", labels / "a.png"),
        (images / "b.png", labels / "b.tif"),
    ]
    assert unpaired(images, labels) == ([images / "only.png"], [labels / "alone.png"])


def test_two_scans_of_one_stem_are_ambiguous(folders: tuple[Path, Path]) -> None:
    images, labels = folders
    _png(images / "a.png")
    _png(images / "a.tif")
    with pytest.raises(ScanError, match=r"a\.png and a\.tif"):
        pair_files(images, labels)


def test_nothing_to_pair_is_told_with_examples(folders: tuple[Path, Path]) -> None:
    images, labels = folders
    with pytest.raises(ScanError, match="images holds no NIfTI"):
        pair_files(images, labels)
    _png(images / "a.png")
    _png(labels / "a_label.png")
    with pytest.raises(ScanError, match="1 scans such as a, 1 masks such as a_label"):
        pair_files(images, labels)


def test_a_folder_that_is_none_is_named(folders: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(ScanError, match="absent cannot be listed"):
        pair_files(tmp_path / "absent", folders[1])


def test_only_the_first_names_are_told() -> None:
    assert some_names([Path("a"), Path("b")]) == "a, b"
    assert some_names([Path(name) for name in "abcd"]) == "a, b, c, …"


def test_a_pair_of_header_and_voxels_is_one_scan(folders: tuple[Path, Path]) -> None:
    images, labels = folders
    nib.save(nib.Nifti1Pair(np.ones((2, 3, 4), np.int16), np.eye(4)), images / "a.img")
    _png(labels / "a.png")
    assert pair_files(images, labels) == [(images / "a.hdr", labels / "a.png")]
