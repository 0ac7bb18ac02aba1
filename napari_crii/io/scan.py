"""Open a scan or a mask of any supported kind."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from napari_crii.errors import GeometryError, ScanError
from napari_crii.geometry import Geometry
from napari_crii.io._choice import chosen_volume
from napari_crii.io._refusal import refusing
from napari_crii.io._values import Array, as_labels
from napari_crii.io.kinds import (
    FORMATS,
    GIPL_SUFFIXES,
    METAIMAGE_SUFFIXES,
    NIFTI_SUFFIXES,
    NRRD_SUFFIXES,
    PAIR_SUFFIXES,
    RASTER_SUFFIXES,
    file_name,
    is_dicomdir,
    looks_like_dicom,
)
from napari_crii.volume import Volume

if TYPE_CHECKING:
    from napari_crii.io.raw_image import RawImage

_NEITHER = FORMATS.replace(" or ", " nor ")


def read_scan(path: str | Path, volume_index: int | None = None) -> Volume:
    """Read a scan: a file of any known format, a DICOM folder, or the series of one DICOM file.

    Parameters
    ----------
    path
        NIfTI (``.nii``, ``.nii.gz``, ``.hdr``), Analyze (``.hdr``), NRRD (``.nrrd``, ``.nhdr``),
        MetaImage (``.mha``, ``.mhd``), GIPL (``.gipl``), PNG, JPEG, TIFF, a DICOM file, or a
        folder of DICOM.
    volume_index
        Which volume of a 4-D scan (phase, time point), counted from 0; may be left out where
        there is only one.

    Returns
    -------
    Volume
        (Z, Y, X), or (Z, Y, X, 3) for colour; what was mended is in its `remarks`.

    Raises
    ------
    ScanError
        If the file is missing, damaged, mislabelled or breaks a rule, or holds several volumes
        and none was chosen; one sentence that names it.
    """
    return _read(path, False, volume_index)


def volume_count(path: str | Path) -> int:
    """Return how many volumes a scan holds, from its headers alone: more than one if it is 4-D.

    Raises
    ------
    ScanError
        If the headers cannot be read.
    """
    kind = _kind(path)
    if kind == "NIfTI":
        from napari_crii.io.nifti import nifti_volumes

        return nifti_volumes(path)
    if kind == "DICOM":
        from napari_crii.io.dicom import series_volumes

        return series_volumes(path)
    return 1 if kind == "image" else _raw_header(kind, path).volumes


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
    volume = _read(path, True, None)
    if volume.channels != 1:
        raise ScanError(f"{path} is in colour, but a mask holds one label per voxel")
    with refusing(path, "mask"):
        labels = as_labels(volume.array)
    return labels, volume.geometry if like is None else _matching_grid(path, volume, like)


def _read(path: str | Path, labels: bool, volume_index: int | None) -> Volume:
    # nibabel, pydicom and Pillow cost half a second together: imported when first needed.
    kind = _kind(path)
    if kind == "NIfTI":
        from napari_crii.io.nifti import read_nifti

        return read_nifti(path, labels, volume_index)
    if kind == "image":
        from napari_crii.io.raster import read_raster

        chosen_volume(path, 1, volume_index)
        return read_raster(path, labels)
    if kind == "DICOM":
        from napari_crii.io.dicom import read_series

        return read_series(path, volume_index)
    from napari_crii.io.raw_image import read_raw

    return read_raw(path, _raw_header(kind, path), labels, volume_index)


def _raw_header(kind: str, path: str | Path) -> RawImage:
    if kind == "NRRD":
        from napari_crii.io.nrrd import read_nrrd_header

        return read_nrrd_header(path)
    if kind == "MetaImage":
        from napari_crii.io.metaimage import read_metaimage_header

        return read_metaimage_header(path)
    from napari_crii.io.gipl import read_gipl_header

    return read_gipl_header(path)


_KINDS = (
    ("NIfTI", NIFTI_SUFFIXES + PAIR_SUFFIXES),
    ("NRRD", NRRD_SUFFIXES),
    ("MetaImage", METAIMAGE_SUFFIXES),
    ("GIPL", GIPL_SUFFIXES),
    ("image", RASTER_SUFFIXES),
)


def _kind(path: str | Path) -> str:
    """Name the reader for an existing file or folder."""
    with refusing(path, "scan"):
        if os.path.isdir(path):
            return "DICOM"
        _require_content(path)
        name = file_name(path)
        for kind, suffixes in _KINDS:
            if name.endswith(suffixes):
                return kind
        if looks_like_dicom(path) or is_dicomdir(path):
            return "DICOM"
    raise ScanError(f"{path} is neither {_NEITHER}")


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
