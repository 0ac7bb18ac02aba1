"""Training slices from two folders: scans, and masks of the same names."""

from __future__ import annotations

import csv
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from napari_crii.errors import ScanError, TrainingError
from napari_crii.io import read_mask, read_scan
from napari_crii.io.pairs import pair_files, scan_stem, scans_by_stem
from napari_crii.preprocessing import Preprocessing
from napari_crii.training.data import TrainingSlice, from_volume
from napari_crii.volume import Volume

Progress = Callable[[int, int], None]


def load_folder(
    images: Path,
    labels: Path,
    recipe: Preprocessing,
    classes: Sequence[str] | None = None,
    groups: Path | None = None,
    progress: Progress = lambda done, total: None,
) -> list[TrainingSlice]:
    """Read every scan that has a mask, all slices of it, in order of names.

    Parameters
    ----------
    images, labels
        Folders whose files pair by stem.
    recipe
        Preprocessing; its number of channels must be that of the scans.
    classes
        Names of the foreground classes. Two or more: a mask's values are classes 1, 2, ….
        One or None: every label above 0 (255, or one per instance) is class 1.
    groups
        CSV file with columns ``file`` and ``patient``; without it every file is a patient.
    progress
        Told after each scan how many of how many are read.

    Raises
    ------
    ScanError, GeometryError
        If a file cannot be read, or a mask does not lie on its scan's grid.
    TrainingError
        If a label is not a class, or `groups` does not name a file's patient.
    """
    count = len(classes or ("foreground",)) + 1
    slices: list[TrainingSlice] = []
    for volume, said, patient in read_pairs(images, labels, count, groups, progress):
        _require_colours(volume, recipe)
        slices += from_volume(volume, said, recipe, count, patient)
    return slices


def read_pairs(
    images: Path,
    labels: Path,
    count: int,
    groups: Path | None = None,
    progress: Progress = lambda done, total: None,
) -> Iterator[tuple[Volume, NDArray[np.integer], str]]:
    """Yield every scan that has a mask, in order of names: the scan, its labels, its patient.

    Parameters
    ----------
    count
        Number of classes, background included; with 2 every label above 0 is class 1.
    images, labels, groups, progress
        As of `load_folder`, with its errors.
    """
    pairs = pair_files(images, labels)
    patients = {} if groups is None else read_groups(groups)
    for done, (scan, mask) in enumerate(pairs, start=1):
        volume = replace(read_scan(scan), name=scan.name)
        said, _ = read_mask(mask, like=volume)
        patient = scan_stem(scan) if groups is None else _patient(patients, scan, groups)
        yield volume, _merged(said, count), patient
        progress(done, len(pairs))


def load_unlabelled(
    folder: Path,
    recipe: Preprocessing,
    groups: Path | None = None,
    besides: Collection[str] = (),
    progress: Progress = lambda done, total: None,
) -> list[TrainingSlice]:
    """Read every scan of a folder, all slices of it, as slices that nobody annotated.

    Parameters
    ----------
    groups
        As in `load_folder`; a scan that it does not name is a patient of its own.
    besides
        Stems of scans to leave out, such as those that have a mask.

    Raises
    ------
    ScanError
        If the folder holds no such scan, or one cannot be read or has other channels.
    """
    scans = {stem: path for stem, path in scans_by_stem(folder).items() if stem not in besides}
    if not scans:
        raise ScanError(f"{folder} holds no scan to learn from without a mask")
    patients = {} if groups is None else read_groups(groups)
    slices: list[TrainingSlice] = []
    for done, (stem, path) in enumerate(scans.items(), start=1):
        volume = replace(read_scan(path), name=path.name)
        _require_colours(volume, recipe)
        patient = patients.get(stem) or stem
        for index in range(volume.slice_count):
            image = torch.from_numpy(recipe.slice_input(volume, index))
            label = torch.zeros(image.shape[1:], dtype=torch.int64)
            slices.append(TrainingSlice(image, label, torch.zeros(image.shape[1:]), patient))
        progress(done, len(scans))
    return slices


def read_groups(path: Path) -> dict[str, str]:
    """Return which file (by stem) belongs to which patient; blanks around a name are no part of it.

    Raises
    ------
    TrainingError
        If the file is not a CSV table with columns ``file`` and ``patient``, or gives one file to
        two patients.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.DictReader(stream))
        named = [(scan_stem(row["file"].strip()), (row["patient"] or "").strip()) for row in rows]
    except OSError as error:
        raise TrainingError(f"{path} cannot be read: {(error.strerror or '').lower()}") from error
    except (KeyError, AttributeError, ValueError, csv.Error) as error:
        raise TrainingError(f"{path} is no CSV table with the columns file and patient") from error
    found: dict[str, str] = {}
    for stem, patient in named:
        if found.setdefault(stem, patient) != patient:
            raise TrainingError(
                f"{path} says that {stem} is of patient '{found[stem]}' and of patient '{patient}'"
            )
    return found


def _require_colours(volume: Volume, recipe: Preprocessing) -> None:
    """Refuse a scan in colour where the others have grey values."""
    if volume.channels > recipe.channels:
        raise ScanError(
            f"{volume.name} has colours (RGB), but the scans with masks have grey values: convert "
            "it, or leave it out"
        )


def _patient(patients: dict[str, str], scan: Path, groups: Path) -> str:
    patient = patients.get(scan_stem(scan))
    if not patient:
        raise TrainingError(f"{groups} does not say whose scan {scan.name} is")
    return patient


def _merged(labels: NDArray[np.integer], count: int) -> NDArray[np.integer]:
    return (labels > 0).astype(np.uint8) if count == 2 else labels
