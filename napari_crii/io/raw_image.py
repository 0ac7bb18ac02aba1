"""Formats that are a header and a block of voxels: NRRD, MetaImage, GIPL.

The header is parsed first and says where the voxels are; its promise is held against the size
of the file before memory is taken. Voxels then go from the file into their array at once.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_crii.errors import ScanError
from napari_crii.geometry import Geometry
from napari_crii.io._choice import chosen_volume
from napari_crii.io._refusal import refusing
from napari_crii.io._stream import HIGHEST_RATIO, Packing, read_voxels
from napari_crii.io._values import Array, finite, native
from napari_crii.io.kinds import stem_of
from napari_crii.volume import Volume

Remarks = tuple[str, ...]
_ALPHA = 4
_LONGEST_SHOWN = 80


class Fields(dict[str, str]):
    """The fields of a header by their names; one that is absent is told by its name."""

    def __missing__(self, name: str) -> str:
        raise ValueError(f"its header has no field {name!r}")


@dataclass(frozen=True)
class RawImage:
    """What a header says about its voxels.

    Attributes
    ----------
    data
        The file that holds the voxels.
    start
        Where in it they begin, in bytes; negative: they are the last bytes of the file.
    packing
        How they are packed.
    dtype
        Of a stored number, with its byte order.
    sizes
        Numbers along each stored axis, the slowest first.
    axes
        Meaning of each of `sizes`: ``z``, ``y``, ``x``, ``c`` (colour), ``t`` (volumes).
    geometry
        Grid of (z, y, x).
    remarks
        What the header does not say.
    skip
        How many unpacked bytes precede the voxels: a header within a packed stream.
    """

    data: Path
    start: int
    packing: Packing
    dtype: np.dtype[Any]
    sizes: tuple[int, ...]
    axes: str
    geometry: Geometry
    remarks: Remarks = ()
    skip: int = 0

    @property
    def volumes(self) -> int:
        """How many volumes there are."""
        return math.prod(n for n, axis in zip(self.sizes, self.axes, strict=True) if axis == "t")

    @property
    def nbytes(self) -> int:
        """How many bytes all voxels take."""
        return math.prod(self.sizes) * self.dtype.itemsize


def read_raw(
    path: str | Path, image: RawImage, labels: bool = False, volume_index: int | None = None
) -> Volume:
    """Read the voxels of a header, for one volume.

    Raises
    ------
    ScanError
        If the file holds less than the header promises, or the volume does not exist.
    """
    with refusing(path, "scan"):
        index, chosen = chosen_volume(path, image.volumes, volume_index)
        _check_size(path, image)
        stored, more = _stored(image, index)
        colours, dropped = _colours(path, stored, image.axes)
        values = native(colours)
        array, mended = (values, ()) if labels else finite(values)
        surplus = (f"{more} bytes after the voxels were ignored",) if more else ()
        remarks = (*image.remarks, *chosen, *surplus, *dropped, *mended)
        return Volume(array, image.geometry, stem_of(path), remarks)


def data_file(header: Path, name: str) -> Path:
    """Return the detached data file that a header names, which must lie in the header's folder.

    Raises
    ------
    ScanError
        If the name leads out of the folder, also through a link, or the file is absent.
    """
    folder = header.resolve().parent
    beside = folder / name
    told = shown(name)
    if name != os.path.basename(name) or "\\" in name or name in ("", ".", ".."):
        raise ScanError(
            f"{header} names its data file {told}: only a file in the header's own folder is read"
        )
    if not beside.is_file():
        raise ScanError(f"{header} needs its data file {told}, which is not in its folder")
    if beside.resolve().parent != folder:
        raise ScanError(f"{header} names its data file {told}, a link out of the folder")
    return beside


def shown(text: str) -> str:
    """Return what stands in a header in a form that fits into one sentence."""
    return repr(text[:_LONGEST_SHOWN])


def _check_size(path: str | Path, image: RawImage) -> None:
    if min(image.sizes) < 1:
        raise ScanError(f"{path} has an axis without voxels: {image.sizes}")
    available = os.path.getsize(image.data) - max(0, image.start)
    if image.nbytes > available * HIGHEST_RATIO[image.packing]:
        raise ScanError(
            f"{path} is truncated or damaged: its header promises {image.nbytes} bytes of voxels, "
            f"{image.data.name} has {max(0, available)}"
        )


def _stored(image: RawImage, index: int) -> tuple[Array, int]:
    """Return the numbers of one volume along the axes other than ``t``, and the surplus bytes."""
    start = image.start
    if start < 0:
        start = os.path.getsize(image.data) - image.nbytes
    if image.axes.startswith("t"):
        array = np.empty(image.sizes[1:], dtype=image.dtype)
        skip, behind = image.skip + index * array.nbytes, (image.volumes - 1 - index) * array.nbytes
        more = read_voxels(image.data, array, start, skip, image.packing, behind)
        return array, more - behind
    array = np.empty(image.sizes, dtype=image.dtype)
    more = read_voxels(image.data, array, start, image.skip, image.packing)
    if "t" in image.axes:
        # Volumes that are interleaved voxel by voxel.
        array = np.ascontiguousarray(array.take(index, axis=image.axes.index("t")))
    return array, more


def _colours(path: str | Path, array: Array, axes: str) -> tuple[Array, Remarks]:
    """Return (z, y, x) or (z, y, x, 3); colour is the fastest axis in all of these formats."""
    axes = axes.replace("t", "")
    array = array.reshape((1,) * (3 - len(axes.replace("c", ""))) + array.shape)
    if not axes.endswith("c"):
        return array, ()
    count = array.shape[-1]
    if count == _ALPHA and array.dtype == np.uint8:
        return np.ascontiguousarray(array[..., :3]), ("the transparency was dropped",)
    if count == 3:
        return array, ()
    raise ScanError(f"{path} has {count} numbers per voxel, which are neither grey nor RGB")


def checked_geometry(affine: NDArray[np.float64]) -> Geometry:
    """Return the grid of a (4, 4) matrix from (x, y, z) indices to LPS mm."""
    return Geometry.from_affine(affine[:, [2, 1, 0, 3]])
