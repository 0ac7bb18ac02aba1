"""Open a scan or a mask of any supported kind."""

from __future__ import annotations

import os
from pathlib import Path

from napari_crii.errors import GeometryError, ScanError
from napari_crii.geometry import Geometry
from napari_crii.io._refusal import refusing
from napari_crii.io._values import Array, as_labels
from napari_crii.io.kinds import NIFTI_SUFFIXES, RASTER_SUFFIXES, file_name, looks_like_dicom
from napari_crii.volume import Volume


def read_scan(path: str | Path) -> Volume:
    """Read a scan: a NIfTI file, a 2-D image, a DICOM folder, or the series of one DICOM file.

    Parameters
    ----------
    path
        ``.nii``, ``.nii.gz``, ``.png``, ``.jpg``, ``.tif``, a DICOM file, or a folder of them.

    Returns
    -------
    Volume
        (Z, Y, X), or (Z, Y, X, 3) for colour; what was mended is in its `remarks`.

    Raises
    ------
    ScanError
        If the file is missing, damaged, mislabelled or breaks a rule; one sentence that names it.
    """
    return _read(path, labels=False)


def read_mask(path: str | Path, like: Volume | None = None) -> tuple[Array, Geometry]:
    """Read a mask of integer labels.

    Parameters
    ----------
    path
        NIfTI, PNG or TIFF (or a DICOM image); values {0, 255} mean class 1, and the colours of
        a palette image are taken as labels by their index.
    like
        The scan whose grid the mask must have: all eight corners within 1e-3 mm. An image that
        carries no size need only have the scan's shape, and takes its grid.

    Returns
    -------
    labels
        (Z, Y, X) in the smallest unsigned type that fits.
    geometry
        Where the mask lies.

    Raises
    ------
    ScanError
        If the file cannot be read, or holds colours, fractions or negative values.
    GeometryError
        If the grid is not that of `like`.
    """
    volume = _read(path, labels=True)
    if volume.channels != 1:
        raise ScanError(f"{path} is in colour, but a mask holds one label per voxel")
    with refusing(path, "mask"):
        labels = as_labels(volume.array)
    return labels, volume.geometry if like is None else _matching_grid(path, volume, like)


def _read(path: str | Path, labels: bool) -> Volume:
    # nibabel, pydicom and Pillow cost half a second together: imported when first needed.
    kind = _kind(path)
    if kind == "NIfTI":
        from napari_crii.io.nifti import read_nifti

        return read_nifti(path, labels)
    if kind == "image":
        from napari_crii.io.raster import read_raster

        return read_raster(path, labels)
    from napari_crii.io.dicom import read_series

    return read_series(path)


def _kind(path: str | Path) -> str:
    """Name the reader for an existing file or folder."""
    with refusing(path, "scan"):
        if os.path.isdir(path):
            return "DICOM"
        _require_content(path)
        name = file_name(path)
        if name.endswith(NIFTI_SUFFIXES):
            return "NIfTI"
        if name.endswith(RASTER_SUFFIXES):
            return "image"
        if looks_like_dicom(path):
            return "DICOM"
    raise ScanError(f"{path} is neither NIfTI, DICOM, PNG, JPEG nor TIFF")


def _require_content(path: str | Path) -> None:
    if not os.path.exists(path):
        raise ScanError(f"{path} does not exist")
    if not os.path.isfile(path):
        raise ScanError(f"{path} is neither a file nor a folder")
    if os.path.getsize(path) == 0:
        raise ScanError(f"{path} is empty")


def _matching_grid(path: str | Path, mask: Volume, like: Volume) -> Geometry:
    if mask.shape != like.shape:
        raise GeometryError(f"{path} has {mask.shape} voxels, but the scan has {like.shape}")
    if mask.is_image:
        return like.geometry
    distance = mask.geometry.corner_distance(like.geometry, like.shape)
    if not mask.geometry.coincides(like.geometry, like.shape):
        raise GeometryError(f"{path} lies up to {distance:.3g} mm away from the scan's grid")
    return mask.geometry
