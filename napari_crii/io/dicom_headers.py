"""The header pass over a DICOM folder: what each file says, before a single pixel is read."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.errors import InvalidDicomError
from pydicom.tag import Tag
from pydicom.uid import UID

from napari_crii.errors import ScanError
from napari_crii.io._deflated import refuse_bomb
from napari_crii.io._dicom_checks import check_length, check_scale
from napari_crii.io._elements import flag, number, numbers, thickness, value, whole
from napari_crii.io._refusal import refusing
from napari_crii.io.dicom_frames import GROUP_KEYWORDS, FrameFacts, frame_facts
from napari_crii.io.kinds import looks_like_dicom

# Only these elements are parsed, so that nothing about the patient ever enters memory.
_KEYWORDS = (
    "SeriesInstanceUID", "SOPInstanceUID", "Modality", "FrameOfReferenceUID",
    "ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing", "ImagerPixelSpacing",
    "SpacingBetweenSlices", "SliceThickness", "Rows", "Columns", "NumberOfFrames",
    "SamplesPerPixel", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
    "PhotometricInterpretation", "RescaleSlope", "RescaleIntercept",
)  # fmt: skip
# What may tell slices at one place apart, the best witness first.
_PHASES = (
    "TemporalPositionIdentifier", "TriggerTime", "AcquisitionTime", "EchoTime",
    "AcquisitionNumber", "ContentTime", "InstanceNumber",
)  # fmt: skip
_TAGS = [Tag(keyword) for keyword in (*_KEYWORDS, *_PHASES, *GROUP_KEYWORDS)]
_PIXEL_DATA = b"\xe0\x7f\x10\x00"
_NATIVE = ("", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")
_EXPLICIT = "1.2.840.10008.1.2.1"
_PLAIN = ("1.2.840.10008.1.2", _EXPLICIT)
_NO_SCANS = ("SEG", "RTDOSE")
_LARGEST_COMPRESSION = 1000
_ALWAYS_PLAUSIBLE_BYTES = 64 << 20
_UNIT_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class Header:
    """One image of a DICOM file, as far as it matters for stacking.

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
    frames
        How many images the file holds; `frame` is the index of this one.
    phases
        What may tell it from others at its place, in a fixed order; None where unknown.
    pixels_at
        Where the value of Pixel Data begins in the file, for images that are not compressed.
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
    high_bit: int = -1
    frame: int = 0
    phases: tuple[float | str | None, ...] = ()
    pixels_at: int | None = None

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


def read_headers(paths: Iterable[Path]) -> tuple[list[Header], tuple[str, ...]]:
    """Read the header of every DICOM file among `paths`, several for a multi-frame file.

    Returns
    -------
    headers
        In order of the paths.
    remarks
        Tells of files that are not DICOM; a DICOMDIR and hidden files are passed over.

    Raises
    ------
    ScanError
        If a file cannot be read, or is named as DICOM but is not.
    """
    headers: list[Header] = []
    ignored: list[str] = []
    named = (p for p in paths if not p.name.startswith(".") and p.name.upper() != "DICOMDIR")
    with quiet_about_uids():
        for path in named:
            if looks_like_dicom(path):
                headers.extend(_read_header(path))
            else:
                ignored.append(path.name)
    if not ignored:
        return headers, ()
    return headers, (f"{len(ignored)} files that are not DICOM were ignored, as {ignored[0]}",)


def read_header(path: Path) -> tuple[Header, ...]:
    """Read the headers of one file, one for each of its frames, and check that they can be true.

    Raises
    ------
    ScanError
        If the file is no DICOM, truncated, or promises more pixels than it can hold.
    """
    with quiet_about_uids():
        return _read_header(path)


def _read_header(path: Path) -> tuple[Header, ...]:
    with refusing(path, "DICOM file"), open(path, "rb") as stream:
        refuse_bomb(path)
        try:
            data = pydicom.dcmread(stream, stop_before_pixels=True, specific_tags=_TAGS)
        except InvalidDicomError:
            raise ScanError(f"{path} is not a DICOM file, although it is named as one") from None
        header = _header(path, data)
        if 0 in header.shape:
            _require_other_kind(path, data)
        _check_size(header)
        check_scale(path, header.slope, header.intercept, header.bits_stored)
        header = replace(header, pixels_at=_pixels_at(stream, header))
        plain = header.frames == 1 and "PerFrameFunctionalGroupsSequence" not in data
        if plain or 0 in header.shape:
            return (header,)
        facts = frame_facts(data, header.frames)
        return tuple(_of_frame(header, fact, index) for index, fact in enumerate(facts))


def _of_frame(header: Header, facts: FrameFacts, index: int) -> Header:
    """Return the header of one frame: what it says of itself goes before what all share."""
    turned = facts.orientation
    rows = None if turned is None else _unit(header.path, turned[:3])
    columns = None if turned is None else _unit(header.path, turned[3:])
    position = facts.position
    if header.frames == 1 and (rows is None or position is None):
        # Converted files may carry groups that say nothing.
        rows, columns, position = header.rows_cosines, header.columns_cosines, header.position
    return replace(
        header,
        frame=index,
        rows_cosines=rows,
        columns_cosines=columns,
        position=position,
        pixel_spacing=facts.pixel_spacing or header.pixel_spacing,
        thickness=facts.thickness or header.thickness,
        slope=header.slope if facts.slope is None else facts.slope,
        intercept=header.intercept if facts.intercept is None else facts.intercept,
        phases=(*facts.phases, *header.phases, float(index)),
    )


def _pixels_at(stream: BinaryIO, header: Header) -> int | None:
    """Return where the plain pixels begin; None where only a decoder can tell."""
    if header.transfer_syntax not in _PLAIN:
        return None
    stop = stream.tell()
    element = stream.read(12)
    if element[:4] != _PIXEL_DATA:
        return None
    explicit = header.transfer_syntax == _EXPLICIT
    if explicit and element[4:6] not in (b"OW", b"OB"):
        return None
    at = stop + (12 if explicit else 8)
    length = int.from_bytes(element[8:12] if explicit else element[4:8], "little")
    wanted = _promised(header)
    if length == 0xFFFFFFFF:
        return None
    check_length(header.path, length, wanted)
    return at if wanted <= length else None


def _header(path: Path, data: pydicom.Dataset) -> Header:
    orientation = numbers(data, "ImageOrientationPatient", 6)
    spacing = numbers(data, "PixelSpacing", 2)
    if spacing is None:
        spacing = numbers(data, "ImagerPixelSpacing", 2)
    return Header(
        path=path,
        series=str(value(data, "SeriesInstanceUID", "")),
        modality=str(value(data, "Modality", "")),
        frame_of_reference=str(value(data, "FrameOfReferenceUID", "")),
        rows_cosines=None if orientation is None else _unit(path, orientation[:3]),
        columns_cosines=None if orientation is None else _unit(path, orientation[3:]),
        position=numbers(data, "ImagePositionPatient", 3),
        pixel_spacing=None if spacing is None else (float(spacing[0]), float(spacing[1])),
        thickness=thickness(data),
        shape=(whole(data, "Rows", 0), whole(data, "Columns", 0)),
        frames=whole(data, "NumberOfFrames", 1),
        samples=whole(data, "SamplesPerPixel", 1),
        bits_allocated=whole(data, "BitsAllocated", 16),
        bits_stored=whole(data, "BitsStored", whole(data, "BitsAllocated", 16)),
        signed=flag(data, "PixelRepresentation"),
        photometric=str(value(data, "PhotometricInterpretation", "")),
        slope=number(data, "RescaleSlope", 1.0),
        intercept=number(data, "RescaleIntercept", 0.0),
        transfer_syntax=_meta(data, "TransferSyntaxUID"),
        high_bit=whole(data, "HighBit", -1),
        phases=tuple(_phase(value(data, keyword, None)) for keyword in _PHASES),
    )


def _meta(data: pydicom.Dataset, keyword: str) -> str:
    meta = getattr(data, "file_meta", None)
    return "" if meta is None else str(value(meta, keyword, ""))


def _require_other_kind(path: Path, data: pydicom.Dataset) -> None:
    """Refuse an image without rows: pydicom reads a truncated header without complaint."""
    kind = UID(_meta(data, "MediaStorageSOPClassUID"))
    # The transfer syntax follows the class: with it, the class has not been cut short.
    if not _meta(data, "TransferSyntaxUID") or "Image Storage" in kind.name:
        raise ScanError(f"{path} is truncated or damaged: it tells no Rows and Columns")


def _phase(found: Any) -> float | str | None:
    try:
        return None if found is None else float(found)
    except (TypeError, ValueError):
        return str(found)


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
