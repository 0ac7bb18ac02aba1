"""Malformed DICOM files and series for F4."""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileDataset
from pydicom.tag import Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian, RLELossless

from tests.faults import damage
from tests.faults.grids import Affine, Array, is_right_handed, random_affine
from tests.faults.readers import series_by_pydicom
from tests.faults.series import Edit, write_series
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


def _stack(rng: np.random.Generator, slices: int = 0) -> Truth:
    """Return voxels and a right-handed grid, as a DICOM series is read."""
    shape = (slices or int(rng.integers(3, 7)), int(rng.integers(4, 9)), int(rng.integers(9, 13)))
    affine = random_affine(rng, ("straight", "oblique")[rng.integers(2)])
    if not is_right_handed(affine):
        affine[:3, 0] *= -1
    return rng.integers(0, 2000, shape).astype(("u2", "i2")[rng.integers(2)]), affine


def cut(rng: np.random.Generator, folder: Path) -> Subject:
    array, affine = _stack(rng)
    series = folder / "series"
    paths = write_series(series, array, affine, int(rng.integers(1 << 20)))
    path = paths[rng.integers(len(paths))]
    return Subject(series, f"a slice {damage.cut(rng, path)}", "refuse", rule=path.name)


def mutated(rng: np.random.Generator, folder: Path) -> Subject:
    """Give one element of one slice, or of all, a value that is wrong or merely odd."""
    keyword = list(_EVIL)[rng.integers(len(_EVIL))]
    value = _EVIL[keyword][rng.integers(len(_EVIL[keyword]))]
    return _edited(rng, folder, f"{keyword} = {value!r}", _setting(keyword, value))


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
    array, affine = _stack(rng)
    series = folder / "series"
    paths = write_series(series, array, affine, int(rng.integers(1 << 20)))
    path = paths[rng.integers(len(paths))]
    spared = array[0].nbytes if rng.random() < 0.8 else 0
    changed = damage.flip(rng, path, 3, lambda size: (128, size - spared))
    words = f"{changed} of {path.name} changed"
    return Subject(series, words, truths=(lambda: _rescaled(series), lambda: (array, affine)))


def series_fault(rng: np.random.Generator, folder: Path) -> Subject:
    """Break a series as a whole, in a way whose outcome is known."""
    name = list(_SERIES)[rng.integers(len(_SERIES))]
    return _SERIES[name](rng, folder / "series")


def bomb(rng: np.random.Generator, folder: Path) -> Subject:
    """Promise, or pack, far more than the file holds."""
    array, affine = _stack(rng, 1)
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
    array, affine = _stack(rng, 1 if rng.random() < 0.3 else 0)
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


def _setting(keyword: str, value: Any) -> Edit:
    def edit(index: int, data: FileDataset) -> None:
        if value is None:
            if keyword in data:
                delattr(data, keyword)
        else:
            setattr(data, keyword, value)

    return edit


def _rescaled(series: Path) -> Truth:
    """Read by pydicom alone, with the values that each slice means."""
    return series_by_pydicom(series, meaning)


def meaning(data: pydicom.Dataset) -> Array:
    """Return the values of one slice: inverted where white is low, rescaled."""
    if data.get("NumberOfFrames") in ("", None) and "NumberOfFrames" in data:
        # Empty is as good as absent.
        del data.NumberOfFrames
    values = data.pixel_array.astype(np.float64)
    if data.PhotometricInterpretation == "MONOCHROME1":
        values = (-1 if data.PixelRepresentation else 2**data.BitsStored - 1) - values
    if data.SamplesPerPixel == 1:
        slope, intercept = data.get("RescaleSlope"), data.get("RescaleIntercept")
        values = values * (1 if slope is None else float(slope)) + float(intercept or 0)
    return np.asarray(values)


def _missing(rng: np.random.Generator, series: Path) -> Subject:
    array, affine = _stack(rng, int(rng.integers(4, 8)))
    paths = write_series(series, array, affine, int(rng.integers(1 << 20)))
    paths[rng.integers(1, len(paths) - 1)].unlink()
    return Subject(series, "a slice is missing", "refuse", rule="instead of")


def _same_twice(rng: np.random.Generator, series: Path) -> Subject:
    truth = _stack(rng)
    paths = write_series(series, *truth, int(rng.integers(1 << 20)))
    shutil.copy(paths[rng.integers(len(paths))], series / "copy.dcm")
    return Subject(series, "a slice stands twice", "accept", (lambda: truth,))


def _other_twice(rng: np.random.Generator, series: Path) -> Subject:
    array, affine = _stack(rng)
    paths = write_series(series, array, affine, int(rng.integers(1 << 20)))
    data = pydicom.dcmread(paths[rng.integers(len(paths))])
    data.PixelData = bytes(255 - b for b in data.PixelData)
    data.save_as(series / "copy.dcm")
    return Subject(series, "another slice at the same place", "refuse", rule="same position")


def _mixed(rng: np.random.Generator, series: Path) -> Subject:
    array, affine = _stack(rng)
    write_series(series, array, affine, 1)
    turned = affine.copy()
    turned[:3, :3] = affine[:3, [1, 2, 0]]
    seed = 1 if rng.random() < 0.5 else 2
    write_series(series, array[:2], turned, seed, _setting("Modality", "MR"), series=1 + seed)
    return Subject(series, "a localizer among the slices", "refuse", rule="2 stacks")


def _sizes(rng: np.random.Generator, series: Path) -> Subject:
    array, affine = _stack(rng)
    odd = int(rng.integers(len(array)))

    def smaller(index: int, data: FileDataset) -> None:
        if index == odd:
            data.Rows = data.Rows - 1
            data.PixelData = data.PixelData[: int(data.Rows) * int(data.Columns) * 2]

    write_series(series, array, affine, 3, smaller)
    return Subject(series, "one slice is smaller", "refuse", rule="size")


def _tilted(rng: np.random.Generator, series: Path) -> Subject:
    array, affine = _stack(rng)
    affine[:3, 0] += np.tan(rng.uniform(0.05, 0.5)) * affine[:3, 1]
    write_series(series, array, affine, 4)
    return Subject(series, "a tilted gantry", "accept", (lambda: (array, affine),))


def _slopes(rng: np.random.Generator, series: Path) -> Subject:
    array, affine = _stack(rng)
    slopes, offsets = rng.integers(1, 400, len(array)) / 64, rng.integers(-9, 9, len(array))

    def own(index: int, data: FileDataset) -> None:
        data.RescaleSlope, data.RescaleIntercept = str(slopes[index]), str(offsets[index])

    write_series(series, array, affine, 5, own)
    values = array * slopes[:, None, None] + offsets[:, None, None]
    return Subject(series, "a slope for each slice", "accept", (lambda: (values, affine),))


def _inverted(rng: np.random.Generator, series: Path) -> Subject:
    array, affine = _stack(rng)
    write_series(series, array, affine, 6, _setting("PhotometricInterpretation", "MONOCHROME1"))
    top = -1 if array.dtype.kind == "i" else 65535
    values = top - array.astype(np.int64)
    return Subject(series, "MONOCHROME1", "accept", (lambda: (values, affine),))


def _swapped(rng: np.random.Generator, series: Path) -> Subject:
    array, affine = _stack(rng)
    odd = int(rng.integers(len(array)))

    def swap(index: int, data: FileDataset) -> None:
        if index == odd:
            data.PixelSpacing = list(data.PixelSpacing)[::-1]

    write_series(series, array, affine, 7, swap)
    return Subject(series, "spacing of one slice swapped", "refuse", rule="pixel spacing")


def _shuffled(rng: np.random.Generator, series: Path) -> Subject:
    truth = _stack(rng)
    numbers = rng.permutation(99)

    def number(index: int, data: FileDataset) -> None:
        data.InstanceNumber = int(numbers[index])

    write_series(series, *truth, int(rng.integers(1 << 20)), number)
    return Subject(series, "names and numbers in no order", "accept", (lambda: truth,))


def _uneven(rng: np.random.Generator, series: Path) -> Subject:
    array, affine = _stack(rng, 6)
    step: Affine = affine[:3, 0] * rng.uniform(0.05, 0.4)
    odd = int(rng.integers(1, 5))

    def shift(index: int, data: FileDataset) -> None:
        if index == odd:
            place = np.array(data.ImagePositionPatient, float) + step
            data.ImagePositionPatient = [f"{v:.9g}" for v in place]

    write_series(series, array, affine, 8, shift)
    return Subject(series, "one slice out of step", "refuse", rule="not an even stack")


_SERIES: dict[str, Callable[[np.random.Generator, Path], Subject]] = {
    "missing": _missing, "same twice": _same_twice, "other twice": _other_twice, "mixed": _mixed,
    "sizes": _sizes, "tilted": _tilted, "slopes": _slopes, "inverted": _inverted,
    "swapped": _swapped, "shuffled": _shuffled, "uneven": _uneven,
}  # fmt: skip
