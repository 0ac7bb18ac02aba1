"""Two ways in which a DICOM header contradicts its pixels, found before they are read."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np
import pydicom

from napari_crii.errors import ScanError

_PIXEL_DATA = b"\xe0\x7f\x10\x00"
_UNDEFINED = 0xFFFFFFFF
_LONG_FORMS = (b"OW", b"OB")
# Byte order and form of the two syntaxes whose pixels are plain: implicit and explicit VR.
_PLAIN = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1")


def pixel_bytes(stream: BinaryIO, data: pydicom.Dataset) -> int | None:
    """Return the length of uncompressed Pixel Data that the stream stands before, if it does."""
    meta = getattr(data, "file_meta", None)
    if meta is None or str(meta.get("TransferSyntaxUID", "")) not in _PLAIN:
        return None
    place = stream.tell()
    element = stream.read(12)
    stream.seek(place)
    if element[:4] != _PIXEL_DATA:
        return None
    length = element[8:12] if element[4:6] in _LONG_FORMS else element[4:8]
    number = int.from_bytes(length, "little")
    return None if number == _UNDEFINED else number


def check_length(path: Path, found: int | None, promised: int) -> None:
    """Refuse pixels of twice the size promised, or more: rows would be cut at a wrong width.

    Some padding behind the pixels is common and harmless.

    Raises
    ------
    ScanError
        If Rows, Columns or NumberOfFrames cannot be true.
    """
    if found is not None and promised > 0 and found >= 2 * promised:
        raise ScanError(
            f"{path} is damaged: its Rows, Columns and frames promise {promised} bytes of pixels, "
            f"but it holds {found}"
        )


def check_scale(path: Path, slope: float, intercept: float, bits: int) -> None:
    """Refuse a rescale that takes stored values beyond what float32 holds.

    Raises
    ------
    ScanError
        If values would become infinite.
    """
    largest = abs(slope) * 2.0 ** min(bits, 64) + abs(intercept)
    if np.isfinite(largest) and largest > np.finfo(np.float32).max:
        raise ScanError(f"{path} has a rescale slope of {slope:g}, which makes values infinite")
