"""Which reader a file is for: judged by its name and a few bytes."""

from __future__ import annotations

import os
from pathlib import Path

NIFTI_SUFFIXES = (".nii", ".nii.gz")
RASTER_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
_FILES_PEEKED_AT = 200


def is_scan(path: str | Path) -> bool:
    """Whether :func:`napari_crii.io.read_scan` has a chance; cheap, and never raises."""
    try:
        if os.path.isdir(path):
            return _holds_dicom(path)
        name = file_name(path)
        named = name.endswith(NIFTI_SUFFIXES + RASTER_SUFFIXES)
        return (named and os.path.isfile(path)) or looks_like_dicom(path)
    except (OSError, ValueError, TypeError):
        return False


def looks_like_dicom(path: str | Path) -> bool:
    """Whether a regular file is named as DICOM, or has ``DICM`` after a 128-byte preamble."""
    if not os.path.isfile(path) or file_name(path) == "dicomdir":
        return False
    if file_name(path).endswith(DICOM_SUFFIXES):
        return True
    with open(path, "rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def file_name(path: str | Path) -> str:
    """Return the last part of a path in lower case, for comparison with suffixes."""
    return os.path.basename(os.fspath(path)).lower()


def _holds_dicom(folder: str | Path) -> bool:
    with os.scandir(folder) as entries:
        for count, entry in enumerate(entries):
            if count == _FILES_PEEKED_AT:
                break
            if not entry.name.startswith(".") and looks_like_dicom(entry.path):
                return True
    return False
