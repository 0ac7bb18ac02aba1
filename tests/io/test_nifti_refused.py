"""NIfTI that is no scan, or a damaged one, is refused in one sentence that names the file."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from napari_crii.errors import ScanError
from napari_crii.io import is_scan, read_scan
from tests.io.files import patched
from tests.io.nifti_files import DIM_1, RAS, SROW_X, save


def test_a_matrix_of_connections_in_nifti_clothing_is_refused():
    path = Path(nib.__file__).parent / "tests" / "data" / "row_major.dconn.nii"
    if not path.exists():
        pytest.skip("nibabel was installed without its test files")
    with pytest.raises(ScanError, match="not a NIfTI image but Cifti2Image"):
        read_scan(path)


def test_a_scan_too_large_for_memory_is_refused_in_words(tmp_path, stored, monkeypatch):
    def exhausted(*args, **kwargs):
        raise MemoryError

    path = save(tmp_path / "a.nii", stored)
    monkeypatch.setattr(np, "empty", exhausted)
    with pytest.raises(ScanError, match="more memory"):
        read_scan(path)


def colours(path: Path, stored: np.ndarray) -> None:
    pixel = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
    nib.save(nib.Nifti1Image(np.zeros(stored.shape, pixel), RAS), path)


REFUSALS = {
    "volumes": lambda p, s: save(p, np.stack([s, s], axis=-1)),
    "colours": colours,
    "complex": lambda p, s: save(p, s.astype(np.complex64)),
    "no voxel is a finite number": lambda p, s: save(p, np.full(s.shape, np.nan, np.float32)),
    "truncated": lambda p, s: p.write_bytes(save(p, s).read_bytes()[:-1]),
    "is empty": lambda p, s: p.write_bytes(b""),
    "does not exist": lambda p, s: None,
    "not a readable NIfTI": lambda p, s: p.write_bytes(b"\x89PNG\r\n\x1a\n" + b"0" * 500),
    "not invertible": lambda p, s: patched(save(p, s), SROW_X, b"\0" * 48),
    "promises": lambda p, s: patched(save(p, s), DIM_1, b"\xff\x7f" * 3),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning:nibabel")
@pytest.mark.parametrize("rule", REFUSALS)
def test_what_is_no_scan_is_refused_by_name_and_rule(tmp_path, stored, rule):
    path = tmp_path / "a.nii"
    REFUSALS[rule](path, stored)
    with pytest.raises(ScanError) as refusal:
        read_scan(path)
    assert str(path) in str(refusal.value)
    assert rule in str(refusal.value)


def test_a_compressed_file_cut_anywhere_is_refused(tmp_path, stored):
    whole = save(tmp_path / "whole.nii.gz", stored).read_bytes()
    path = tmp_path / "cut.nii.gz"
    for length in range(1, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(ScanError, match=r"cut\.nii\.gz"):
            read_scan(path)


def test_a_flipped_bit_in_a_compressed_file_is_noticed(tmp_path, rng):
    array = rng.integers(0, 255, (90, 70, 5)).astype(np.uint8)
    raw = bytearray(save(tmp_path / "a.nii", array).read_bytes())
    # Stored blocks: the flip leaves a valid stream, and only the checksum can tell.
    packed = bytearray(gzip.compress(raw, compresslevel=0))
    packed[-40] ^= 1
    path = tmp_path / "b.nii.gz"
    path.write_bytes(packed)
    with pytest.raises(ScanError, match="CRC"):
        read_scan(path)


@pytest.mark.parametrize("fault", ["missing", "cut", "link"])
def test_a_pair_without_its_voxels_is_refused(tmp_path, stored, fault):
    folder = tmp_path / "folder"
    folder.mkdir()
    nib.save(nib.Nifti1Pair(stored, RAS), folder / "a.img")
    voxels = folder / "a.img"
    content = voxels.read_bytes()
    voxels.unlink()
    if fault == "cut":
        voxels.write_bytes(content[:-1])
    if fault == "link":
        (tmp_path / "b.img").write_bytes(content)
        voxels.symlink_to(tmp_path / "b.img")
    words = {"missing": "not in its folder", "cut": "truncated", "link": "out of the folder"}
    with pytest.raises(ScanError, match=words[fault]):
        read_scan(folder / "a.hdr")
    assert is_scan(folder / "a.hdr") == (fault != "missing")
