"""Which reader a file is for: judged by its name and a few bytes."""

from __future__ import annotations

import os
from pathlib import Path

NIFTI_SUFFIXES = (".nii.gz", ".nii")
PAIR_SUFFIXES = (".hdr", ".img")
NRRD_SUFFIXES = (".nrrd", ".nhdr")
METAIMAGE_SUFFIXES = (".mha", ".mhd")
GIPL_SUFFIXES = (".gipl.gz", ".gipl")
RASTER_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
MASK_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha", ".png", ".tif", ".tiff")
FORMATS = "NIfTI, Analyze, NRRD, MetaImage, GIPL, DICOM, PNG, JPEG or TIFF"

_NAMED = (
    *NIFTI_SUFFIXES,
    *PAIR_SUFFIXES,
    *NRRD_SUFFIXES,
    *METAIMAGE_SUFFIXES,
    *GIPL_SUFFIXES,
    *RASTER_SUFFIXES,
)
KNOWN_SUFFIXES = (*_NAMED, *DICOM_SUFFIXES)
_FILES_PEEKED_AT = 200


def stem_of(path: str | Path) -> str:
    """Return the last part of a path without its suffix, of which ``.nii.gz`` is one."""
    name = os.path.basename(os.fspath(path))
    suffix = next((s for s in KNOWN_SUFFIXES if name.lower().endswith(s)), "")
    return name[: len(name) - len(suffix)] or name


def pair_of(path: str | Path) -> tuple[Path, Path]:
    """Return header and voxel file of an Analyze or NIfTI pair, named by either."""
    given = Path(path)
    upper = given.suffix.isupper()
    header, voxels = ((s.upper() if upper else s) for s in PAIR_SUFFIXES)
    return given.with_suffix(header), given.with_suffix(voxels)


def is_scan(path: str | Path) -> bool:
    """Whether :func:`napari_crii.io.read_scan` has a chance; cheap, and never raises."""
    try:
        if os.path.isdir(path):
            return _holds_dicom(path)
        name = file_name(path)
        if name.endswith(PAIR_SUFFIXES):
            return all(part.is_file() for part in pair_of(path))
        if name.endswith(_NAMED):
            return os.path.isfile(path)
        return looks_like_dicom(path) or is_dicomdir(path)
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
            if entry.name.startswith("."):
                continue
            if looks_like_dicom(entry.path) or is_dicomdir(entry.path):
                return True
    return False


def is_dicomdir(path: str | Path) -> bool:
    """Whether a file is the directory of a DICOM medium, by its name."""
    return file_name(path) == "dicomdir" and os.path.isfile(path)
