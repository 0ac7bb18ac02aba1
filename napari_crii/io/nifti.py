"""Read NIfTI through nibabel, which notices truncation and keeps a sheared affine.

NIfTI's array axes are (x, y, z) and its space is RAS; ours are (z, y, x) and LPS.
"""

from __future__ import annotations

import gzip
import io
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import nibabel as nib
import numpy as np
from nibabel.nifti1 import Nifti1Header, Nifti1Image
from numpy.typing import NDArray

from napari_crii.errors import GeometryError, ScanError
from napari_crii.geometry import CORNER_TOLERANCE_MM, Geometry
from napari_crii.io._nibabel_notes import as_remarks, noting
from napari_crii.io._refusal import refusing
from napari_crii.io._values import Array, finite, native
from napari_crii.volume import Volume

_HIGHEST_GZIP_RATIO = 1032
_MM_PER_UNIT = {"meter": 1000.0, "mm": 1.0, "micron": 1e-3, "unknown": 1.0}
_RAS_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def read_nifti(path: str | Path, labels: bool = False) -> Volume:
    """Read a 3-D NIfTI-1 or -2 file.

    The sform is used where it is coded, else the qform; a scale factor gives float32, no scale
    factor keeps the stored type.

    Parameters
    ----------
    path
        ``.nii`` or ``.nii.gz``.
    labels
        Leave NaN and infinite values in place, for masks to be refused by them.

    Returns
    -------
    Volume
        (Z, Y, X); remarks tell of an unknown orientation, of forms that differ, of mended NaN.

    Raises
    ------
    ScanError
        If the file is damaged, is no NIfTI, holds colours or more than one volume.
    """
    with refusing(path, "NIfTI file"):
        with noting() as notes:
            image, stored = _load(path)
        scaled = _rescaled(image, stored.reshape(_shape(path, stored.shape)))
        array, mended = (scaled, ()) if labels else finite(scaled)
        geometry, remarks = _geometry(image.header, array.shape)
        voxels = np.ascontiguousarray(array.T)
        return Volume(voxels, geometry, _stem(path), remarks + as_remarks(path, notes) + mended)


def to_nifti_affine(geometry: Geometry) -> NDArray[np.float64]:
    """Return the (4, 4) matrix from NIfTI's (x, y, z) indices to RAS mm."""
    return np.asarray(_RAS_LPS @ geometry.affine[:, [2, 1, 0, 3]])


def from_nifti_affine(affine: NDArray[np.floating]) -> Geometry:
    """Return the grid of a (4, 4) matrix from (x, y, z) indices to RAS mm."""
    return Geometry.from_affine((_RAS_LPS @ affine)[:, [2, 1, 0, 3]])


def _load(path: str | Path) -> tuple[Nifti1Image, Array]:
    """Return header and unscaled voxels (x, y, z, ...), read to the last byte of the file."""
    opened = nib.load(path)
    if not isinstance(opened, Nifti1Image):
        raise ScanError(f"{path} is not a NIfTI image but {type(opened).__name__}")
    header = opened.header
    _check_size(path, header, int(cast(Any, opened.dataobj).offset))
    with _stream(path) as stream:
        kind = type(opened)
        image = kind.from_file_map(kind.make_file_map({"image": stream}), mmap=False)
        stored = native(np.asarray(cast(Any, image.dataobj).get_unscaled()))
        # gzip checks its checksum only at the end of the stream.
        while stream.read(1 << 20):
            pass
    return image, stored


@contextmanager
def _stream(path: str | Path) -> Iterator[io.BufferedIOBase]:
    if os.fspath(path).lower().endswith(".gz"):
        with gzip.open(path) as packed:
            yield packed
    else:
        with open(path, "rb") as plain:
            yield plain


def _check_size(path: str | Path, header: Nifti1Header, offset: int) -> None:
    """Refuse colours, and a header that promises more voxels than the file can hold."""
    if header.get_data_dtype().fields:
        raise ScanError(f"{path} holds colours, but a NIfTI scan must hold grey values")
    promised = math.prod(header.get_data_shape()) * header.get_data_dtype().itemsize
    packed = os.fspath(path).lower().endswith(".gz")
    possible = os.path.getsize(path) * (_HIGHEST_GZIP_RATIO if packed else 1)
    if promised > possible - offset:
        raise ScanError(f"{path} is truncated: its header promises {promised} bytes of voxels")


def _shape(path: str | Path, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return three axes, or refuse more than one volume."""
    if len(shape) > 3 and math.prod(shape[3:]) != 1:
        raise ScanError(
            f"{path} holds {math.prod(shape[3:])} volumes, but a scan is one: split the file first"
        )
    return (*shape, 1, 1, 1)[:3]


def _rescaled(image: Nifti1Image, stored: Array) -> Array:
    proxy = cast(Any, image.dataobj)
    slope, inter = float(proxy.slope), float(proxy.inter)
    if (slope, inter) == (1.0, 0.0):
        return stored
    scaled = np.empty(stored.shape, dtype=np.float32, order="F")
    for k in range(stored.shape[2]):
        scaled[..., k] = stored[..., k].astype(np.float64) * slope + inter
    return scaled


def _geometry(header: Nifti1Header, shape: tuple[int, ...]) -> tuple[Geometry, tuple[str, ...]]:
    affine, form_remarks = _affine(header, shape[::-1])
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


def _stem(path: str | Path) -> str:
    name = Path(path).name
    return name[: -len(".nii.gz")] if name.lower().endswith(".nii.gz") else Path(path).stem
