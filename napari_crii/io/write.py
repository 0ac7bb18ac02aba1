"""Write masks and maps: to a temporary file, verified by reading it back, then renamed."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_crii.errors import WriteError
from napari_crii.geometry import Geometry
from napari_crii.io._values import Array
from napari_crii.io.atomic import atomic_write

_LARGEST_PNG_LABEL = 65535
_FAST = 1
_SINGLE_IMAGE = "holds one image without voxel size: choose .nii.gz for this scan"


def write_mask(path: str | Path, labels: NDArray[Any], geometry: Geometry) -> None:
    """Write labels in the smallest unsigned type that fits, and verify them.

    Parameters
    ----------
    path
        ``.nii.gz`` or ``.nii``; ``.png`` for a single image that carries no size.
    labels
        (Z, Y, X) integers from 0 upwards, or booleans. A PNG holds them as they are, up to 65535.
    geometry
        The grid of the scan they were drawn on.

    Raises
    ------
    WriteError
        If the mask cannot be written, or does not read back the same; what stood at `path`
        before is unchanged.
    """
    path = Path(path)
    labels = _smallest_labels(path, np.asarray(labels))
    if path.suffix.lower() == ".png":
        if labels.max() > _LARGEST_PNG_LABEL:
            raise WriteError(f"{path} was not saved: PNG holds labels up to {_LARGEST_PNG_LABEL}")
        _write_png(path, _single_image(path, labels, geometry))
    else:
        _write_nifti(path, labels, geometry)


def write_map(path: str | Path, values: NDArray[Any], geometry: Geometry) -> None:
    """Write a map of real numbers as float32, and verify it.

    Parameters
    ----------
    path
        ``.nii.gz`` or ``.nii``; ``.tif`` for a single image that carries no size.
    values
        (Z, Y, X) finite numbers.
    geometry
        The grid of the scan they belong to.

    Raises
    ------
    WriteError
        If the map cannot be written, or does not read back the same; what stood at `path`
        before is unchanged.
    """
    path = Path(path)
    values = np.asarray(values, dtype=np.float32)
    if values.ndim != 3 or values.size == 0 or not np.isfinite(values).all():
        raise WriteError(f"{path} was not saved: a map is (z, y, x) with finite values only")
    if path.suffix.lower() in (".tif", ".tiff"):
        _write_tiff(path, _single_image(path, values, geometry))
    else:
        _write_nifti(path, values, geometry)


def _smallest_labels(path: Path, labels: Array) -> Array:
    """Unlike on reading, 255 stays 255: what is written are classes already."""
    if labels.ndim != 3 or labels.size == 0 or labels.dtype.kind not in "biu":
        raise WriteError(f"{path} was not saved: a mask is (z, y, x) with integer labels")
    if labels.min() < 0:
        raise WriteError(f"{path} was not saved: a label is negative ({labels.min()})")
    return labels.astype(np.min_scalar_type(int(labels.max())))


def _single_image(path: Path, array: Array, geometry: Geometry) -> Array:
    if array.shape[0] != 1 or geometry.unit != "px":
        raise WriteError(f"{path} was not saved: {path.suffix} {_SINGLE_IMAGE}")
    return np.ascontiguousarray(array[0])


def _write_nifti(path: Path, array: Array, geometry: Geometry) -> None:
    import nibabel as nib

    from napari_crii.io.nifti import to_nifti_affine

    _refuse_twin(path)
    affine = to_nifti_affine(geometry)
    image = nib.Nifti1Image(array.T, affine, dtype=array.dtype)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, code=1)
    # A qform is a rotation and cannot hold shear: left uncoded, it cannot contradict the sform.
    image.set_qform(None if geometry.is_sheared else affine, code=0 if geometry.is_sheared else 1)

    def write(target: Path) -> None:
        # Packed here and not by nibabel, which leaves the file open when the disk is full, and
        # whose gzip header would carry a name and a time.
        content = image.to_bytes()
        if path.suffix.lower() == ".gz":
            content = gzip.compress(content, compresslevel=_FAST, mtime=0)
        target.write_bytes(content)

    atomic_write(path, write, lambda written: _verify_nifti(written, array, geometry))


def _verify_nifti(path: Path, array: Array, geometry: Geometry) -> None:
    from napari_crii.io.nifti import read_nifti

    back = read_nifti(path)
    _require_equal(back.array, array)
    if not back.geometry.coincides(geometry, array.shape):
        distance = back.geometry.corner_distance(geometry, array.shape)
        raise WriteError(f"its grid read back {distance:.3g} mm away")


def _write_png(path: Path, image: Array) -> None:
    from PIL import Image

    def write(target: Path) -> None:
        Image.fromarray(image).save(target, format="PNG")

    atomic_write(path, write, lambda written: _verify_image(written, image))


def _write_tiff(path: Path, image: Array) -> None:
    import tifffile

    def write(target: Path) -> None:
        tifffile.imwrite(target, image, photometric="minisblack")

    atomic_write(path, write, lambda written: _verify_image(written, image))


def _verify_image(path: Path, image: Array) -> None:
    from napari_crii.io.raster import read_raster

    _require_equal(read_raster(path, labels=True).array[0], image)


def _require_equal(back: Array, array: Array) -> None:
    if back.dtype != array.dtype or not np.array_equal(back, array):
        raise WriteError("it did not read back the same")


def _refuse_twin(path: Path) -> None:
    """SimpleITK reads ``A.nii`` when asked for ``A.nii.gz`` beside it: never create the pair."""
    name = path.name.lower()
    if not name.endswith((".nii", ".nii.gz")):
        raise WriteError(f"{path} was not saved: choose a name that ends in .nii.gz")
    packed = name.endswith(".gz")
    twin = path.with_name(path.name[:-3] if packed else f"{path.name}.gz")
    if os.path.exists(twin):
        raise WriteError(
            f"{path} was not saved: {twin.name} beside it would be mistaken for it, remove it first"
        )
