"""Read NIfTI and Analyze: headers through nibabel, which keeps a sheared affine.

NIfTI's array axes are (x, y, z) and its space is RAS; ours are (z, y, x) and LPS.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any, cast

import nibabel as nib
import numpy as np
from nibabel.analyze import AnalyzeImage
from nibabel.nifti1 import Nifti1Header, Nifti1Image, Nifti1Pair
from numpy.typing import NDArray

from napari_crii.errors import GeometryError, ScanError
from napari_crii.geometry import CORNER_TOLERANCE_MM, Geometry
from napari_crii.io._choice import chosen_volume
from napari_crii.io._nibabel_notes import as_remarks, noting
from napari_crii.io._refusal import refusing
from napari_crii.io._stream import HIGHEST_RATIO, Packing, read_voxels
from napari_crii.io._values import Array, finite, native
from napari_crii.io.kinds import PAIR_SUFFIXES, pair_of, stem_of
from napari_crii.io.raw_image import data_file
from napari_crii.volume import Volume

_MM_PER_UNIT = {"meter": 1000.0, "mm": 1.0, "micron": 1e-3, "unknown": 1.0}
_RAS_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])

# Both families of formats, which nibabel keeps apart: their headers read alike.
_Image = Any


def read_nifti(path: str | Path, labels: bool = False, volume_index: int | None = None) -> Volume:
    """Read one volume of a NIfTI-1, NIfTI-2 or Analyze file.

    The sform is used where it is coded, else the qform; a scale factor gives float32, no scale
    factor keeps the stored type.

    Parameters
    ----------
    path
        ``.nii``, ``.nii.gz``, or either file of a ``.hdr`` and ``.img`` pair.
    labels
        Leave NaN and infinite values in place, for masks to be refused by them.
    volume_index
        Which volume of a 4-D file, counted from 0.

    Returns
    -------
    Volume
        (Z, Y, X); remarks tell of an unknown orientation, of forms that differ, of mended NaN.

    Raises
    ------
    ScanError
        If the file is damaged, is no NIfTI, holds colours, or several volumes and none is chosen.
    """
    with refusing(path, _kind(path)):
        with noting() as notes:
            image = _open(path)
        index, chosen = chosen_volume(path, _count(image), volume_index)
        scaled = _rescaled(image, _stored(path, image, index))
        array, mended = (scaled, ()) if labels else finite(scaled)
        geometry, remarks = _geometry(image, array.shape)
        return Volume(
            array, geometry, stem_of(path), remarks + as_remarks(path, notes) + chosen + mended
        )


def nifti_volumes(path: str | Path) -> int:
    """Return how many volumes a file holds, from its header alone; errors as `read_nifti`."""
    with refusing(path, _kind(path)), noting():
        return _count(_open(path))


def to_nifti_affine(geometry: Geometry) -> NDArray[np.float64]:
    """Return the (4, 4) matrix from NIfTI's (x, y, z) indices to RAS mm."""
    return np.asarray(_RAS_LPS @ geometry.affine[:, [2, 1, 0, 3]])


def from_nifti_affine(affine: NDArray[np.floating]) -> Geometry:
    """Return the grid of a (4, 4) matrix from (x, y, z) indices to RAS mm."""
    return Geometry.from_affine((_RAS_LPS @ affine)[:, [2, 1, 0, 3]])


def _kind(path: str | Path) -> str:
    paired = os.fspath(path).lower().endswith(PAIR_SUFFIXES)
    return "pair of .hdr and .img" if paired else "NIfTI file"


def _open(path: str | Path) -> _Image:
    """Return the image with its header read, and no voxel."""
    if os.fspath(path).lower().endswith(PAIR_SUFFIXES):
        header, voxels = pair_of(path)
        data_file(header, voxels.name)
        image: _Image = nib.load(header)
        expected: tuple[type, ...] = (Nifti1Pair, AnalyzeImage)
    else:
        image, expected = nib.load(path), (Nifti1Image,)
    if not isinstance(image, expected):
        raise ScanError(f"{path} is not a NIfTI image but {type(image).__name__}")
    _check_size(path, image)
    return image


def _check_size(path: str | Path, image: _Image) -> None:
    """Refuse colours, and a header that promises more voxels than the file can hold."""
    header, offset = image.header, int(image.dataobj.offset)
    if header.get_data_dtype().fields:
        raise ScanError(f"{path} holds colours, but a NIfTI scan must hold grey values")
    promised = math.prod(header.get_data_shape()) * header.get_data_dtype().itemsize
    possible = os.path.getsize(_data(image)) * HIGHEST_RATIO[_packing(image)]
    if promised > possible - offset:
        raise ScanError(f"{path} is truncated: its header promises {promised} bytes of voxels")


def _data(image: _Image) -> str:
    return cast(str, image.file_map["image"].filename)


def _packing(image: _Image) -> Packing:
    return "gzip" if _data(image).lower().endswith(".gz") else "raw"


def _count(image: _Image) -> int:
    return math.prod(image.header.get_data_shape()[3:])


def _stored(path: str | Path, image: _Image, index: int) -> Array:
    """Return the unscaled voxels (z, y, x) of one volume, read to the last byte of the file."""
    shape = (*image.header.get_data_shape(), 1, 1, 1)[:3]
    if min(shape) < 1:
        raise ScanError(f"{path} has an axis without voxels: {shape}")
    array = np.empty(shape[::-1], dtype=image.header.get_data_dtype())
    start, skip = int(image.dataobj.offset), index * array.nbytes
    packed = _packing(image)
    if packed == "raw":
        read_voxels(_data(image), array, start, skip)
    else:
        # Within a packed stream the header comes first, and is part of what is left out.
        behind = (_count(image) - 1 - index) * array.nbytes
        read_voxels(_data(image), array, 0, start + skip, packed, behind)
    return native(array)


def _rescaled(image: _Image, stored: Array) -> Array:
    slope, inter = float(image.dataobj.slope), float(image.dataobj.inter)
    if (slope, inter) == (1.0, 0.0):
        return stored
    scaled = np.empty(stored.shape, dtype=np.float32)
    for target, part in zip(scaled, stored, strict=True):
        target[...] = part.astype(np.float64) * slope + inter
    return scaled


def _geometry(image: _Image, shape: tuple[int, ...]) -> tuple[Geometry, tuple[str, ...]]:
    header = image.header
    if not isinstance(header, Nifti1Header):
        remark = "orientation unknown: an Analyze file does not tell it"
        return from_nifti_affine(header.get_best_affine()), (remark,)
    affine, form_remarks = _affine(header, shape)
    unit = str(header.get_xyzt_units()[0])
    if _MM_PER_UNIT[unit] == 1.0:
        return from_nifti_affine(affine), form_remarks
    scale = np.diag([_MM_PER_UNIT[unit]] * 3 + [1.0])
    return from_nifti_affine(scale @ affine), (
        *form_remarks,
        f"the file counts in {unit}s, converted to mm",
    )


def _affine(
    header: Nifti1Header, shape: tuple[int, ...]
) -> tuple[NDArray[np.floating], tuple[str, ...]]:
    """Return the affine (x, y, z) -> RAS of the best coded form, with remarks."""
    sform, qform = header.get_sform(coded=True)[0], _qform(header)
    if sform is None and qform is None:
        remark = "orientation unknown: the file codes neither sform nor qform"
        return header.get_best_affine(), (remark,)
    if sform is None:
        return cast("NDArray[np.floating]", qform), ()
    if int(header["qform_code"]) > 0 and not _same(sform, qform, shape):
        return sform, ("sform and qform differ; the sform was used",)
    return sform, ()


def _qform(header: Nifti1Header) -> NDArray[np.floating] | None:
    """Return the coded qform; one that is no rotation counts as absent."""
    try:
        return cast("NDArray[np.floating] | None", header.get_qform(coded=True)[0])
    except ValueError:
        return None


def _same(
    sform: NDArray[np.floating], qform: NDArray[np.floating] | None, shape: tuple[int, ...]
) -> bool:
    if qform is None:
        return False
    try:
        other = from_nifti_affine(qform)
    except GeometryError:
        return False
    return from_nifti_affine(sform).coincides(other, shape, CORNER_TOLERANCE_MM)
