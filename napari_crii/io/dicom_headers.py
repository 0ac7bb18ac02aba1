"""The header pass over a DICOM folder: what each file says, before a single pixel is read."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID

from napari_crii.errors import ScanError
from napari_crii.io._deflated import refuse_bomb
from napari_crii.io._dicom_checks import check_length, check_scale, pixel_bytes
from napari_crii.io._refusal import refusing
from napari_crii.io.kinds import looks_like_dicom

# Only these elements are parsed, so that nothing about the patient ever enters memory.
_TAGS = (
    "SeriesInstanceUID", "Modality", "FrameOfReferenceUID", "ImageOrientationPatient",
    "ImagePositionPatient", "PixelSpacing", "ImagerPixelSpacing", "SpacingBetweenSlices",
    "SliceThickness", "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "BitsAllocated",
    "BitsStored", "PixelRepresentation", "PhotometricInterpretation", "RescaleSlope",
    "RescaleIntercept",
)  # fmt: skip
_NATIVE = ("", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")
_NO_SCANS = ("SEG", "RTDOSE")
_LARGEST_COMPRESSION = 1000
_ALWAYS_PLAUSIBLE_BYTES = 64 << 20
_UNIT_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class Header:
    """One DICOM file, as far as it matters for stacking.

    Attributes
    ----------
    rows_cosines, columns_cosines
        LPS unit vectors in which the column index, and the row index, grow; None if unknown.
    position
        LPS centre of the first pixel in mm; None if unknown.
    pixel_spacing
        Distance between rows, between columns, in mm; None if unknown.
    thickness
        Distance to the next slice in mm, for a slice without neighbours; None if unknown.
    """

    path: Path
    series: str
    modality: str
    frame_of_reference: str
    rows_cosines: NDArray[np.float64] | None
    columns_cosines: NDArray[np.float64] | None
    position: NDArray[np.float64] | None
    pixel_spacing: tuple[float, float] | None
    thickness: float | None
    shape: tuple[int, int]
    frames: int
    samples: int
    bits_allocated: int
    bits_stored: int
    signed: bool
    photometric: str
    slope: float
    intercept: float
    transfer_syntax: str

    @property
    def has_pixels(self) -> bool:
        """Whether this is an image of the patient, not a report, a plan or a segmentation."""
        return 0 not in self.shape and self.modality not in _NO_SCANS


@contextmanager
def quiet_about_uids() -> Iterator[None]:
    """Keep pydicom from warning about UIDs with leading zeros: they still tell series apart."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Invalid value for VR UI")
        yield


def read_headers(folder: Path, shown: str) -> tuple[list[Header], tuple[str, ...]]:
    """Read the header of every DICOM file of a folder (not of its subfolders).

    Parameters
    ----------
    folder
        The folder to look through.
    shown
        The path as the user gave it, for messages.

    Returns
    -------
    headers
        In order of file names.
    remarks
        Tells of files that are not DICOM; a DICOMDIR and hidden files are passed over.

    Raises
    ------
    ScanError
        If a file cannot be read, or is named as DICOM but is not.
    """
    headers, ignored = [], []
    with refusing(shown, "DICOM folder"):
        paths = sorted(p for p in folder.iterdir() if p.is_file())
        for path in paths:
            if path.name.startswith(".") or path.name.upper() == "DICOMDIR":
                continue
            if looks_like_dicom(path):
                headers.append(read_header(path))
            else:
                ignored.append(path.name)
    if not ignored:
        return headers, ()
    return headers, (f"{len(ignored)} files that are not DICOM were ignored, as {ignored[0]}",)


def read_header(path: Path) -> Header:
    """Read one header and check that it can be true.

    Raises
    ------
    ScanError
        If the file is no DICOM, truncated, or promises more pixels than it can hold.
    """
    with refusing(path, "DICOM file"), quiet_about_uids(), open(path, "rb") as stream:
        refuse_bomb(path)
        try:
            data = pydicom.dcmread(stream, stop_before_pixels=True, specific_tags=list(_TAGS))
        except InvalidDicomError:
            raise ScanError(f"{path} is not a DICOM file, although it is named as one") from None
        found = pixel_bytes(stream, data)
        header = _header(path, data)
        if 0 in header.shape:
            _require_other_kind(path, data)
        _check_size(header)
        check_length(path, found, _promised(header))
        check_scale(path, header.slope, header.intercept, header.bits_stored)
        return header


def _header(path: Path, data: pydicom.Dataset) -> Header:
    orientation = _numbers(data, "ImageOrientationPatient", 6)
    spacing = _numbers(data, "PixelSpacing", 2)
    if spacing is None:
        spacing = _numbers(data, "ImagerPixelSpacing", 2)
    return Header(
        path=path,
        series=str(_value(data, "SeriesInstanceUID", "")),
        modality=str(_value(data, "Modality", "")),
        frame_of_reference=str(_value(data, "FrameOfReferenceUID", "")),
        rows_cosines=None if orientation is None else _unit(path, orientation[:3]),
        columns_cosines=None if orientation is None else _unit(path, orientation[3:]),
        position=_numbers(data, "ImagePositionPatient", 3),
        pixel_spacing=None if spacing is None else (float(spacing[0]), float(spacing[1])),
        thickness=_thickness(data),
        shape=(int(_value(data, "Rows", 0)), int(_value(data, "Columns", 0))),
        frames=int(_value(data, "NumberOfFrames", 1)),
        samples=int(_value(data, "SamplesPerPixel", 1)),
        bits_allocated=int(_value(data, "BitsAllocated", 16)),
        bits_stored=int(_value(data, "BitsStored", _value(data, "BitsAllocated", 16))),
        signed=bool(_value(data, "PixelRepresentation", 0)),
        photometric=str(_value(data, "PhotometricInterpretation", "")),
        slope=float(_value(data, "RescaleSlope", 1.0)),
        intercept=float(_value(data, "RescaleIntercept", 0.0)),
        transfer_syntax=_meta(data, "TransferSyntaxUID"),
    )


def _meta(data: pydicom.Dataset, keyword: str) -> str:
    meta = getattr(data, "file_meta", None)
    return "" if meta is None else str(_value(meta, keyword, ""))


def _require_other_kind(path: Path, data: pydicom.Dataset) -> None:
    """Refuse an image without rows: pydicom reads a truncated header without complaint."""
    kind = UID(_meta(data, "MediaStorageSOPClassUID"))
    # The transfer syntax follows the class: with it, the class has not been cut short.
    if not _meta(data, "TransferSyntaxUID") or "Image Storage" in kind.name:
        raise ScanError(f"{path} is truncated or damaged: it tells no Rows and Columns")


def _value(data: pydicom.Dataset, keyword: str, default: Any) -> Any:
    """Return an element's value; `default` where it is absent or empty."""
    value = data.get(keyword)
    return default if value is None or value == "" else value


def _numbers(data: pydicom.Dataset, keyword: str, count: int) -> NDArray[np.float64] | None:
    value = _value(data, keyword, None)
    if value is None:
        return None
    numbers = np.array(value, dtype=np.float64)
    if numbers.shape != (count,) or not np.isfinite(numbers).all():
        raise ValueError(f"{keyword} must hold {count} finite numbers")
    return numbers


def _thickness(data: pydicom.Dataset) -> float | None:
    for keyword in ("SpacingBetweenSlices", "SliceThickness"):
        value = abs(float(_value(data, keyword, 0.0)))
        if value > 0:
            return value
    return None


def _unit(path: Path, vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return `vector` with its rounding to a few decimals undone."""
    length = float(np.linalg.norm(vector))
    if abs(length - 1) > _UNIT_TOLERANCE:
        raise ScanError(f"{path} has a direction in ImageOrientationPatient of length {length:.4g}")
    return vector / length


def _check_size(header: Header) -> None:
    """Refuse a header that promises more pixels than the file can hold, before allocating."""
    if header.frames < 1 or header.samples < 1 or header.bits_allocated < 1:
        raise ScanError(f"{header.path} has no frames, samples or bits in its pixels")
    promised = _promised(header)
    possible = os.path.getsize(header.path)
    if header.transfer_syntax not in _NATIVE:
        possible = max(possible * _LARGEST_COMPRESSION, _ALWAYS_PLAUSIBLE_BYTES)
    if promised > possible:
        raise ScanError(
            f"{header.path} is truncated or damaged: its header promises {promised} bytes of "
            f"pixels, the file has {os.path.getsize(header.path)}"
        )


def _promised(header: Header) -> int:
    """Return how many bytes the pixels have when they are not compressed."""
    # YBR_FULL_422 shares its two colours between neighbouring pixels.
    samples = 2 if header.photometric == "YBR_FULL_422" else header.samples
    pixels = header.shape[0] * header.shape[1] * samples * header.frames
    return pixels * header.bits_allocated // 8
