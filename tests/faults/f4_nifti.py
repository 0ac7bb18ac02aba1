"""Malformed NIfTI files for F4."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

from tests.faults import damage, nifti_standard, readers
from tests.faults.grids import TILTS, random_affine, random_voxels
from tests.faults.subjects import Subject, Truth

_WHOLE = (-32768, -1, 0, 1, 2, 3, 4, 5, 7, 8, 16, 64, 255, 512, 1024, 2304, 32767)
_REAL = (0.0, -1.0, 1.0, 1e-3, 0.5, 352.0, 400.0, 1e9, 1e38, -1e38, np.nan, np.inf, -np.inf)
_FIELDS = (
    "sizeof_hdr", "dim", "datatype", "bitpix", "pixdim", "vox_offset", "scl_slope", "scl_inter",
    "xyzt_units", "qform_code", "sform_code", "quatern", "qoffset", "srow", "magic",
)  # fmt: skip


def intact(rng: np.random.Generator, folder: Path) -> tuple[Path, Truth]:
    """Write a valid file of a random type, with either form or both."""
    suffix = (".nii", ".nii.gz")[rng.integers(2)]
    array = random_voxels(rng, 12)
    tilt = TILTS[rng.integers(3)]
    affine = random_affine(rng, tilt)
    forms = ("sform", "qform", "both")[rng.integers(3)]
    path = folder / f"scan{suffix}"
    readers.write_by_nibabel(path, array, affine, forms)
    return path, (array, affine)


def cut(rng: np.random.Generator, folder: Path) -> Subject:
    path, _ = intact(rng, folder)
    return Subject(path, damage.cut(rng, path), "refuse")


def mutated(rng: np.random.Generator, folder: Path) -> Subject:
    """Give one header field a value that is wrong, or merely odd."""
    path, _ = intact(rng, folder)
    packed = path.name.endswith(".gz")
    content = bytearray(gzip.decompress(path.read_bytes()) if packed else path.read_bytes())
    header = np.frombuffer(bytes(content[:348]), nifti_standard.HEADER).copy()
    name = _FIELDS[rng.integers(len(_FIELDS))]
    values = header[name][0:1] if header[name].ndim == 1 else header[name][0].reshape(-1)
    place = int(rng.integers(min(len(values), 5 if name in ("dim", "pixdim") else 12)))
    value = _value(rng, values.dtype)
    with np.errstate(all="ignore"):
        values[place] = value
    content[:348] = header.tobytes()
    path.write_bytes(gzip.compress(bytes(content)) if packed else bytes(content))
    words = f"{name}[{place}] of {path.suffix} set to {value!r}"
    return Subject(path, words, truths=(lambda: nifti_standard.read(path),))


def flipped(rng: np.random.Generator, folder: Path) -> Subject:
    """Change single bytes, anywhere."""
    path, truth = intact(rng, folder)
    words = f"{damage.flip(rng, path, 4)} of {path.suffix} changed"
    return Subject(path, words, truths=(lambda: nifti_standard.read(path), lambda: truth))


def bomb(rng: np.random.Generator, folder: Path) -> Subject:
    """Pack much into little: behind the voxels, in the header's promise, or as true voxels."""
    kind = ("trailing", "promise", "voxels")[rng.integers(3)]
    path = folder / "bomb.nii.gz"
    header = np.zeros(1, nifti_standard.HEADER)
    header["sizeof_hdr"], header["magic"], header["vox_offset"] = 348, b"n+1", 352
    header["datatype"], header["bitpix"], header["pixdim"] = 4, 16, 1
    sides = {"trailing": (8, 8, 8), "promise": (30000, 30000, 30000), "voxels": (512, 512, 800)}
    header["dim"][0] = (3, *sides[kind], 1, 1, 1, 1)
    header["sform_code"], header["srow"] = 1, np.eye(3, 4)
    size = {"trailing": 6 << 30, "promise": 1 << 20, "voxels": 512 * 512 * 800 * 2}[kind]
    with path.open("wb") as stream:
        stream.write(gzip.compress(header.tobytes() + b"\0" * 4))
        # Members of a gzip file are read as one: a megabyte of zeros is packed only once.
        block = gzip.compress(b"\0" * (1 << 24))
        for _ in range(max(1, size >> 24)):
            stream.write(block)
    if kind == "voxels":
        return Subject(path, "400 MB of true zeros in a small file", "accept")
    return Subject(path, f"a bomb in the {kind}", "refuse")


def _value(rng: np.random.Generator, dtype: np.dtype) -> object:
    if dtype.kind == "S":
        return (b"ni1", b"n+2", b"", b"n+1", b"abc")[rng.integers(5)]
    if dtype.kind == "f":
        return _REAL[rng.integers(len(_REAL))]
    value = _WHOLE[rng.integers(len(_WHOLE))]
    return value & 0xFF if dtype == np.uint8 else value
