"""Read a DICOM series as one volume, or say exactly why it is none.

The header pass comes first (:mod:`napari_crii.io.dicom_headers`), then the geometry
(:mod:`napari_crii.io.dicom_stack`), and pixels only for a stack that is even and complete.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_crii.errors import ScanError
from napari_crii.geometry import Geometry
from napari_crii.io._choice import chosen_volume
from napari_crii.io._refusal import refusing
from napari_crii.io._values import Array, finite
from napari_crii.io.dicom_headers import Header, read_header, read_headers
from napari_crii.io.dicom_phases import phases
from napari_crii.io.dicom_pixels import check_supported, rescaled, stored_pixels, stored_stack
from napari_crii.io.dicom_stack import Stack, group, stack_geometry, without_repeats
from napari_crii.io.kinds import is_dicomdir, looks_like_dicom
from napari_crii.volume import Volume

Remarks = tuple[str, ...]
_MOST_FILES = 100_000


@dataclass(frozen=True, eq=False)
class Series:
    """A volume whose headers are checked and whose pixels are still on disk.

    Attributes
    ----------
    path
        As the user gave it.
    headers
        One for each slice, ascending along the normal.
    copies
        The same with slices that repeat one of them.
    geometry
        Grid of (z, y, x).
    name
        For display.
    remarks
        What the headers gave reason to say.
    """

    path: Path
    headers: tuple[Header, ...]
    copies: tuple[Header, ...]
    geometry: Geometry
    name: str
    remarks: Remarks

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along ``(z, y, x)``."""
        return (len(self.headers), *self.headers[0].shape)

    def read_slice(self, index: int) -> Array:
        """Return one slice, (Y, X) or (Y, X, 3), before the others are read.

        Its values are those that it will have in the volume; the type of number may be a
        smaller one.

        Raises
        ------
        ScanError
            If its pixels cannot be read.
        """
        with refusing(self.path, "DICOM series"):
            return _values(self.headers[index])

    def read(self) -> Volume:
        """Read all pixels.

        Raises
        ------
        ScanError
            If a slice cannot be read.
        """
        with refusing(self.path, "DICOM series"):
            stored, dropped = stored_stack(self.copies, len(self.headers))
            values, changed = rescaled(self.headers, stored)
            array, mended = finite(values)
            remarks = self.remarks + dropped + changed + mended
            return Volume(array, self.geometry, self.name, remarks)


def read_series(path: str | Path, volume_index: int | None = None) -> Volume:
    """Read the one series of a folder, or the series and orientation of one file.

    Slices ascend along the normal, row direction x column direction, so the grid is
    right-handed in LPS whatever the files are called and however they are numbered.

    Parameters
    ----------
    path
        A folder with one series of images, a DICOMDIR, or one file of the series wanted.
    volume_index
        Which time point, where every position holds several slices.

    Returns
    -------
    Volume
        (Z, Y, X), or (Z, Y, X, 3) for colour, with rescale slope and intercept applied:
        integers where all slices share whole numbers, float32 otherwise.

    Raises
    ------
    ScanError
        If there is no image or more than one series, or if slices are damaged, missing, at the
        same place, tilted against each other or of different sizes.
    """
    return open_series(path, volume_index).read()


def open_series(path: str | Path, volume_index: int | None = None) -> Series:
    """Check the headers of a series and read no pixel; parameters and errors as `read_series`."""
    given = Path(path)
    with refusing(path, "DICOM series"):
        stack, ignored = _stack(given)
        volumes = phases(stack.headers)
        index, chosen = chosen_volume(path, len(volumes), volume_index)
        copies = volumes[index]
        headers = without_repeats(copies)
        for header in copies:
            check_supported(header)
        geometry, remarks = stack_geometry(headers)
        name = given.name if given.is_dir() or len(stack.files) == 1 else _folder_name(given)
        notes = ignored + chosen + remarks
        return Series(given, tuple(headers), tuple(copies), geometry, name or "scan", notes)


def series_volumes(path: str | Path) -> int:
    """Return how many time points a series holds; errors as `read_series`."""
    with refusing(path, "DICOM series"):
        return len(phases(_stack(Path(path))[0].headers))


def preview_series(path: str | Path) -> Volume:
    """Return one slice at once, as a volume (1, Y, X) or (1, Y, X, 3), before a series is checked.

    It is the file in the middle of the folder by name: something to look at while
    :func:`open_series` reads every header, and nothing to measure on.

    Raises
    ------
    ScanError
        If there is no image, or it cannot be read.
    """
    given = Path(path)
    with refusing(path, "DICOM series"):
        files = [p for p in _files(given) if looks_like_dicom(p)] if given.is_dir() else [given]
        middle = len(files) // 2
        for file in files[middle:] + files[:middle]:
            header = read_header(file)[0]
            if header.has_pixels:
                check_supported(header)
                geometry, remarks = stack_geometry([header])
                name = given.name if given.is_dir() else _folder_name(given)
                return Volume(_values(header)[np.newaxis], geometry, name or "scan", remarks)
    raise ScanError(f"{path} holds no DICOM images")


def _values(header: Header) -> Array:
    stored = stored_pixels(header)[np.newaxis]
    array, _ = finite(rescaled([header], stored)[0])
    return np.asarray(array[0])


def _folder_name(file: Path) -> str:
    return file.resolve().parent.name


def _stack(given: Path) -> tuple[Stack, Remarks]:
    if given.is_dir():
        return _stack_of_folder(given)
    if is_dicomdir(given):
        return _stack_of_folder(given.parent)
    return _stack_of_file(given), ()


def _stack_of_folder(folder: Path) -> tuple[Stack, Remarks]:
    headers, remarks = read_headers(_files(folder))
    stacks = group([h for h in headers if h.has_pixels])
    if not stacks and any(is_dicomdir(path) for path in _files(folder)):
        headers, remarks = read_headers(_files_below(folder))
        stacks = group([h for h in headers if h.has_pixels])
        remarks = ("the folder holds a DICOMDIR, so its subfolders were searched", *remarks)
    if not stacks:
        raise ScanError(f"{folder} holds no DICOM images (subfolders are not searched)")
    if len(stacks) > 1:
        choices = "; ".join(stack.described(folder) for stack in stacks[:5])
        raise ScanError(
            f"{folder} holds {len(stacks)} stacks of slices: open a file of one of them, {choices}"
        )
    return stacks[0], remarks


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file())


def _files_below(folder: Path) -> list[Path]:
    found: list[Path] = []
    for parent, _, names in os.walk(folder):
        found += [Path(parent, name) for name in names]
        if len(found) > _MOST_FILES:
            raise ScanError(f"{folder} holds more than {_MOST_FILES} files below it")
    return sorted(path for path in found if path.is_file() and not path.is_symlink())


def _stack_of_file(path: Path) -> Stack:
    chosen = read_header(path)
    if 0 in chosen[0].shape:
        raise ScanError(f"{path} holds no image, but {chosen[0].modality or 'other data'}")
    check_supported(chosen[0])
    if chosen[0].frames > 1:
        return _one_of(path, group(chosen))
    headers, _ = read_headers(_files(path.parent))
    same = [h for h in headers if h.series == chosen[0].series and 0 not in h.shape]
    for stack in group(same):
        if any(h.path.name == path.name for h in stack.headers):
            return stack
    return Stack(chosen)


def _one_of(path: Path, stacks: Sequence[Stack]) -> Stack:
    if len(stacks) > 1:
        raise ScanError(f"{path} holds {len(stacks)} stacks of frames in different orientations")
    return stacks[0]
