"""Open a scan of any supported kind."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from napari_crii.errors import ScanError
from napari_crii.io._refusal import refusing
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
    if kind == "image":
        from napari_crii.io.raster import raster_volumes

        return raster_volumes(path)
    return _raw_header(kind, path).volumes


def read_as_stored(path: str | Path) -> Volume:
    """Read a file of one volume with NaN and infinite values left in place, as for masks.

    Raises
    ------
    ScanError
        As `read_scan`.
    """
    return _read(path, True, None)


def _read(path: str | Path, labels: bool, volume_index: int | None) -> Volume:
    # nibabel, pydicom and Pillow cost half a second together: imported when first needed.
    kind = _kind(path)
    if kind == "NIfTI":
        from napari_crii.io.nifti import read_nifti

        return read_nifti(path, labels, volume_index)
    if kind == "image":
        from napari_crii.io.raster import read_raster

        return read_raster(path, labels, volume_index)
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
