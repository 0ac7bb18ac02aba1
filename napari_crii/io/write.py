"""Write masks and maps: to a temporary file, verified by reading it back, then renamed."""

from __future__ import annotations

import gzip
import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_crii.errors import WriteError
from napari_crii.geometry import Geometry
from napari_crii.io._values import Array
from napari_crii.io.atomic import atomic_write
from napari_crii.io.second_opinion import require_agreement
from napari_crii.io.sidecar import sidecar_of, sidecar_text
from napari_crii.io.write_raw import metaimage_bytes, nrrd_bytes

_LARGEST_PNG_LABEL = 65535
_FAST = 1
_IMAGES = (".png", ".tif", ".tiff")
_SINGLE_IMAGE = "holds a single image: choose .nii.gz for this scan"


def write_mask(path: str | Path, labels: NDArray[Any], geometry: Geometry) -> None:
    """Write labels in the smallest unsigned type that fits, and verify them.

    Parameters
    ----------
    path
        ``.nii.gz``, ``.nii``, ``.nrrd`` or ``.mha``; ``.png`` or ``.tif`` for a single image,
        whose grid, where it has one, goes into a JSON file beside it. A stack without a size
        fits into one ``.tif``.
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
    if path.suffix.lower() == ".png" and labels.max() > _LARGEST_PNG_LABEL:
        raise WriteError(f"{path} was not saved: PNG holds labels up to {_LARGEST_PNG_LABEL}")
    _write(path, labels, geometry)


def write_map(path: str | Path, values: NDArray[Any], geometry: Geometry) -> None:
    """Write a map of real numbers as float32, and verify it.

    Parameters
    ----------
    path
        ``.nii.gz``, ``.nii``, ``.nrrd`` or ``.mha``; ``.tif`` as for masks.
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
    if path.suffix.lower() == ".png":
        raise WriteError(f"{path} was not saved: PNG does not hold real numbers, choose .tif")
    _write(path, values, geometry)


def _write(path: Path, array: Array, geometry: Geometry) -> None:
    suffix = path.suffix.lower()
    if suffix in _IMAGES:
        _write_image(path, array, geometry)
    elif suffix == ".nrrd":
        _write_bytes(path, nrrd_bytes(array, geometry), array, geometry)
    elif suffix == ".mha":
        _write_bytes(path, metaimage_bytes(array, geometry), array, geometry)
    else:
        _write_nifti(path, array, geometry)


def _smallest_labels(path: Path, labels: Array) -> Array:
    """Unlike on reading, 255 stays 255: what is written are classes already."""
    if labels.ndim != 3 or labels.size == 0 or labels.dtype.kind not in "biu":
        raise WriteError(f"{path} was not saved: a mask is (z, y, x) with integer labels")
    if labels.min() < 0:
        raise WriteError(f"{path} was not saved: a label is negative ({labels.min()})")
    return labels.astype(np.min_scalar_type(int(labels.max())))


def _write_nifti(path: Path, array: Array, geometry: Geometry) -> None:
    import nibabel as nib

    from napari_crii.io.nifti import to_nifti_affine

    _refuse_twin(path)
    affine = to_nifti_affine(geometry)
    image = nib.Nifti1Image(array.T, affine, dtype=array.dtype)
    image.header.set_xyzt_units("mm" if geometry.unit == "mm" else "unknown")
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

    atomic_write(path, write, lambda written: _verify(written, array, geometry))


def _write_bytes(path: Path, content: bytes, array: Array, geometry: Geometry) -> None:
    atomic_write(
        path,
        partial(_put, content),
        lambda written: _verify(written, array, geometry),
    )


def _put(content: bytes, target: Path) -> None:
    target.write_bytes(content)


def _verify(path: Path, array: Array, geometry: Geometry) -> None:
    """Read back with our reader, and ask another where the grid lies."""
    from napari_crii.io.scan import read_as_stored

    back = read_as_stored(path)
    _require_equal(back.array, array)
    if not back.geometry.coincides(geometry, array.shape):
        distance = back.geometry.corner_distance(geometry, array.shape)
        raise WriteError(f"its grid read back {distance:.3g} mm away")
    require_agreement(path, geometry, array.shape)


def _write_image(path: Path, array: Array, geometry: Geometry) -> None:
    """Write a single image with its grid beside it, or a TIFF stack without a size."""
    stack = geometry.unit == "px" and path.suffix.lower() != ".png"
    if array.shape[0] != 1 and not stack:
        raise WriteError(f"{path} was not saved: {path.suffix} {_SINGLE_IMAGE}")
    beside = sidecar_of(path)
    former = beside.read_bytes() if os.path.isfile(beside) else None
    if geometry.unit == "mm":
        _write_sidecar(beside, sidecar_text(array, geometry).encode())
    try:
        atomic_write(path, partial(_save_image, array), lambda back: _verify_image(back, array))
    except WriteError:
        _restore(beside, former)
        raise


def _save_image(array: Array, target: Path) -> None:
    if target.suffix.lower() == ".png":
        from PIL import Image

        Image.fromarray(array[0]).save(target, format="PNG")
    else:
        import tifffile

        pages = array if len(array) > 1 else array[0]
        tifffile.imwrite(target, pages, photometric="minisblack", metadata=None)


def _verify_image(path: Path, array: Array) -> None:
    from napari_crii.io.raster import read_raster

    _require_equal(read_raster(path, labels=True).array, array)


def _write_sidecar(path: Path, content: bytes) -> None:
    def verify(written: Path) -> None:
        if written.read_bytes() != content:
            raise WriteError("it did not read back the same")

    atomic_write(path, partial(_put, content), verify)


def _restore(path: Path, former: bytes | None) -> None:
    """Put back the sidecar of the image that is still there."""
    if former is not None:
        _write_sidecar(path, former)
    elif os.path.isfile(path):
        path.unlink()


def _require_equal(back: Array, array: Array) -> None:
    if back.dtype != array.dtype or not np.array_equal(back, array):
        raise WriteError("it did not read back the same")


def _refuse_twin(path: Path) -> None:
    """SimpleITK reads ``A.nii`` when asked for ``A.nii.gz`` beside it: never create the pair."""
    name = path.name.lower()
    if not name.endswith((".nii", ".nii.gz")):
        raise WriteError(f"{path} was not saved: choose a name that ends in .nii.gz, .nrrd or .mha")
    packed = name.endswith(".gz")
    twin = path.with_name(path.name[:-3] if packed else f"{path.name}.gz")
    if os.path.exists(twin):
        raise WriteError(
            f"{path} was not saved: {twin.name} beside it would be mistaken for it, remove it first"
        )
