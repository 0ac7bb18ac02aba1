"""Malformed DICOM files for F4: cut, given wrong elements, changed in bytes, bombs."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileDataset
from pydicom.tag import Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian, RLELossless

from tests.faults import damage
from tests.faults.readers import meaning, series_by_pydicom
from tests.faults.series import Edit, random_stack, setting, write_series
from tests.faults.subjects import Subject, Truth

_EVIL: dict[str, tuple[Any, ...]] = {
    "Rows": (0, 1, 3, 8, 65535),
    "Columns": (0, 1, 3, 8, 65535),
    "SamplesPerPixel": (0, 2, 3, 65535),
    "BitsAllocated": (0, 1, 8, 12, 32, 64, 65535),
    "BitsStored": (0, 1, 12, 17, 65535),
    "HighBit": (0, 7, 11, 65535),
    "PixelRepresentation": (0, 1, 2, 65535),
    "NumberOfFrames": ("0", "-1", "2", "2147483647"),
    "PhotometricInterpretation": ("MONOCHROME1", "RGB", "PALETTE COLOR", "YBR_FULL", "", "X"),
    "PixelSpacing": (["0", "1"], ["-1", "1"], ["1e38", "1"], ["1"], ["1", "2", "3"], None),
    "ImagePositionPatient": (["0", "0", "0"], ["1e38", "0", "0"], ["0", "0"], None),
    "ImageOrientationPatient": (
        ["1", "0", "0", "1", "0", "0"], ["0", "0", "0", "0", "0", "0"],
        ["1", "0", "0", "0", "0.9", "0"], ["1", "0", "0"], ["2", "0", "0", "0", "2", "0"], None,
    ),
    "SliceThickness": ("0", "-3", "1e38", None),
    "SpacingBetweenSlices": ("0", "-3", "1e38"),
    "RescaleSlope": ("0", "-1", "1e38", "2.5", None),
    "RescaleIntercept": ("-1024", "1e38", "0.25", None),
    "SeriesInstanceUID": ("1.2.3", "", "not a UID", None),
    "FrameOfReferenceUID": ("", "1.02.3", None),
    "Modality": ("", "SEG", "RTDOSE", None),
    "PixelData": (b"", b"\0\0", None),
}  # fmt: skip


_WRONG_TEXT = ("nonsense", "nan", "inf", "1\\2\\3", "", "1e400", "\u00e9", "0x10", "1,5")


_NUMBERS_AS_TEXT = (
    "PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient", "SliceThickness",
    "RescaleSlope", "RescaleIntercept", "NumberOfFrames",
)  # fmt: skip


def cut(rng: np.random.Generator, folder: Path) -> Subject:
    array, affine = random_stack(rng)
    series = folder / "series"
    paths = write_series(series, array, affine, int(rng.integers(1 << 20)))
    path = paths[rng.integers(len(paths))]
    return Subject(series, f"a slice {damage.cut(rng, path)}", "refuse", rule=path.name)


def mutated(rng: np.random.Generator, folder: Path) -> Subject:
    """Give one element of one slice, or of all, a value that is wrong or merely odd."""
    keyword = list(_EVIL)[rng.integers(len(_EVIL))]
    value = _EVIL[keyword][rng.integers(len(_EVIL[keyword]))]
    return _edited(rng, folder, f"{keyword} = {value!r}", setting(keyword, value))


def mistyped(rng: np.random.Generator, folder: Path) -> Subject:
    """Write text that is no number where numbers must stand, or another representation."""
    keyword = _NUMBERS_AS_TEXT[rng.integers(len(_NUMBERS_AS_TEXT))]
    text = _WRONG_TEXT[rng.integers(len(_WRONG_TEXT))]
    representation = ("DS", "LO", "US", "UN", "OB")[rng.integers(5)]

    def edit(index: int, data: FileDataset) -> None:
        raw = text.encode()
        raw += b" " * (len(raw) % 2)
        tag = Tag(keyword)
        data[tag] = RawDataElement(tag, representation, len(raw), raw, 0, False, True)

    return _edited(rng, folder, f"{keyword} as {representation} {text!r}", edit)


def flipped(rng: np.random.Generator, folder: Path) -> Subject:
    """Change single bytes of one slice, in front of the pixels more often than in them."""
    array, affine = random_stack(rng)
    series = folder / "series"
    paths = write_series(series, array, affine, int(rng.integers(1 << 20)))
    path = paths[rng.integers(len(paths))]
    spared = array[0].nbytes if rng.random() < 0.8 else 0
    changed = damage.flip(rng, path, 3, lambda size: (128, size - spared))
    words = f"{changed} of {path.name} changed"
    return Subject(series, words, truths=(lambda: _rescaled(series), lambda: (array, affine)))


def bomb(rng: np.random.Generator, folder: Path) -> Subject:
    """Promise, or pack, far more than the file holds."""
    array, affine = random_stack(rng, 1)
    kind = ("deflated", "rows", "run lengths", "frames")[rng.integers(4)]

    def edit(index: int, data: FileDataset) -> None:
        if kind == "frames":
            data.NumberOfFrames = "2000000000"
        else:
            data.Rows = data.Columns = 65535
        if kind == "run lengths":
            data.file_meta.TransferSyntaxUID = RLELossless
            fragment = b"\x01\0\0\0\x40\0\0\0" + b"\0" * 56 + b"\x81\0" * 500
            data.PixelData = pydicom.encaps.encapsulate([fragment])
            data["PixelData"].is_undefined_length = True

    paths = write_series(folder / "series", array, affine, 0, edit)
    if kind == "deflated":
        _deflate(paths[0])
    return Subject(paths[0], f"a bomb by {kind}", "refuse")


def _deflate(path: Path) -> None:
    """Write a deflated data set of 1.5 gigabytes of zeros, as one element."""
    data = pydicom.dcmread(path)
    data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    data.PixelData = b"\0\0"
    data.save_as(path, enforce_file_format=True)
    content = path.read_bytes()
    start = _meta_length(content)
    packer = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = zlib.decompress(content[start:], -zlib.MAX_WBITS)
    packed = [packer.compress(body)]
    block = b"\0" * (1 << 24)
    packed += [packer.compress(block) for _ in range(96)]
    path.write_bytes(content[:start] + b"".join([*packed, packer.flush()]))


def _meta_length(content: bytes) -> int:
    """Return where the data set begins: behind the preamble and the file meta group."""
    return 144 + int.from_bytes(content[140:144], "little")


def _edited(rng: np.random.Generator, folder: Path, words: str, edit: Edit) -> Subject:
    array, affine = random_stack(rng, 1 if rng.random() < 0.3 else 0)
    one = None if rng.random() < 0.5 else int(rng.integers(len(array)))

    def chosen(index: int, data: FileDataset) -> None:
        if one in (None, index):
            edit(index, data)

    series = folder / "series"
    write_series(series, array, affine, int(rng.integers(1 << 20)), chosen)
    where = "all slices" if one is None else f"slice {one + 1}"
    return Subject(
        series, f"{words} in {where} of {len(array)}", truths=(lambda: _rescaled(series),)
    )


def _rescaled(series: Path) -> Truth:
    """Read by pydicom alone, with the values that each slice means."""
    return series_by_pydicom(series, meaning)
