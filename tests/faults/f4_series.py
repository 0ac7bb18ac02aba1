"""DICOM series for F4 that are broken as a whole, in ways whose outcome is known."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import FileDataset

from tests.faults.grids import Affine
from tests.faults.series import random_stack, setting, write_series
from tests.faults.subjects import Subject


def broken(rng: np.random.Generator, folder: Path) -> Subject:
    """Break a series as a whole, in a way whose outcome is known."""
    name = list(_FAULTS)[rng.integers(len(_FAULTS))]
    return _FAULTS[name](rng, folder / "series")


def _missing(rng: np.random.Generator, series: Path) -> Subject:
    array, affine = random_stack(rng, int(rng.integers(4, 8)))
    paths = write_series(series, array, affine, int(rng.integers(1 << 20)))
    paths[rng.integers(1, len(paths) - 1)].unlink()
    return Subject(series, "a slice is missing", "refuse", rule="instead of")


def _same_twice(rng: np.random.Generator, series: Path) -> Subject:
    truth = random_stack(rng)
    paths = write_series(series, *truth, int(rng.integers(1 << 20)))
    shutil.copy(paths[rng.integers(len(paths))], series / "copy.dcm")
    return Subject(series, "a slice stands twice", "accept", (lambda: truth,))


def _other_twice(rng: np.random.Generator, series: Path) -> Subject:
    array, affine = random_stack(rng)
    paths = write_series(series, array, affine, int(rng.integers(1 << 20)))
    data = pydicom.dcmread(paths[rng.integers(len(paths))])
    data.PixelData = bytes(255 - b for b in data.PixelData)
    data.save_as(series / "copy.dcm")
    return Subject(series, "another slice at the same place", "refuse", rule="same position")


def _mixed(rng: np.random.Generator, series: Path) -> Subject:
    array, affine = random_stack(rng)
    write_series(series, array, affine, 1)
    turned = affine.copy()
    turned[:3, :3] = affine[:3, [1, 2, 0]]
    seed = 1 if rng.random() < 0.5 else 2
    write_series(series, array[:2], turned, seed, setting("Modality", "MR"), series=1 + seed)
    return Subject(series, "a localizer among the slices", "refuse", rule="2 stacks")


def _sizes(rng: np.random.Generator, series: Path) -> Subject:
    array, affine = random_stack(rng)
    odd = int(rng.integers(len(array)))

    def smaller(index: int, data: FileDataset) -> None:
        if index == odd:
            data.Rows = data.Rows - 1
            data.PixelData = data.PixelData[: int(data.Rows) * int(data.Columns) * 2]

    write_series(series, array, affine, 3, smaller)
    return Subject(series, "one slice is smaller", "refuse", rule="size")


def _tilted(rng: np.random.Generator, series: Path) -> Subject:
    array, affine = random_stack(rng)
    affine[:3, 0] += np.tan(rng.uniform(0.05, 0.5)) * affine[:3, 1]
    write_series(series, array, affine, 4)
    return Subject(series, "a tilted gantry", "accept", (lambda: (array, affine),))


def _slopes(rng: np.random.Generator, series: Path) -> Subject:
    array, affine = random_stack(rng)
    slopes, offsets = rng.integers(1, 400, len(array)) / 64, rng.integers(-9, 9, len(array))

    def own(index: int, data: FileDataset) -> None:
        data.RescaleSlope, data.RescaleIntercept = str(slopes[index]), str(offsets[index])

    write_series(series, array, affine, 5, own)
    values = array * slopes[:, None, None] + offsets[:, None, None]
    return Subject(series, "a slope for each slice", "accept", (lambda: (values, affine),))


def _inverted(rng: np.random.Generator, series: Path) -> Subject:
    array, affine = random_stack(rng)
    write_series(series, array, affine, 6, setting("PhotometricInterpretation", "MONOCHROME1"))
    top = -1 if array.dtype.kind == "i" else 65535
    values = top - array.astype(np.int64)
    return Subject(series, "MONOCHROME1", "accept", (lambda: (values, affine),))


def _swapped(rng: np.random.Generator, series: Path) -> Subject:
    array, affine = random_stack(rng)
    odd = int(rng.integers(len(array)))

    def swap(index: int, data: FileDataset) -> None:
        if index == odd:
            data.PixelSpacing = list(data.PixelSpacing)[::-1]

    write_series(series, array, affine, 7, swap)
    return Subject(series, "spacing of one slice swapped", "refuse", rule="pixel spacing")


def _shuffled(rng: np.random.Generator, series: Path) -> Subject:
    truth = random_stack(rng)
    numbers = rng.permutation(99)

    def number(index: int, data: FileDataset) -> None:
        data.InstanceNumber = int(numbers[index])

    write_series(series, *truth, int(rng.integers(1 << 20)), number)
    return Subject(series, "names and numbers in no order", "accept", (lambda: truth,))


def _uneven(rng: np.random.Generator, series: Path) -> Subject:
    array, affine = random_stack(rng, 6)
    step: Affine = affine[:3, 0] * rng.uniform(0.05, 0.4)
    odd = int(rng.integers(1, 5))

    def shift(index: int, data: FileDataset) -> None:
        if index == odd:
            place = np.array(data.ImagePositionPatient, float) + step
            data.ImagePositionPatient = [f"{v:.9g}" for v in place]

    write_series(series, array, affine, 8, shift)
    return Subject(series, "one slice out of step", "refuse", rule="not an even stack")


_FAULTS: dict[str, Callable[[np.random.Generator, Path], Subject]] = {
    "missing": _missing, "same twice": _same_twice, "other twice": _other_twice, "mixed": _mixed,
    "sizes": _sizes, "tilted": _tilted, "slopes": _slopes, "inverted": _inverted,
    "swapped": _swapped, "shuffled": _shuffled, "uneven": _uneven,
}  # fmt: skip
