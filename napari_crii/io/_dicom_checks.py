"""Two ways in which a DICOM header contradicts its pixels, found before they are read."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_crii.errors import ScanError


def check_length(path: Path, found: int, promised: int) -> None:
    """Refuse pixels of twice the size promised, or more: rows would be cut at a wrong width.

    Some padding behind the pixels is common and harmless.

    Raises
    ------
    ScanError
        If Rows, Columns or NumberOfFrames cannot be true.
    """
    if promised > 0 and found >= 2 * promised:
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
    if np.isfinite(largest) and largest > float(np.finfo(np.float32).max):
        raise ScanError(f"{path} has a rescale slope of {slope:g}, which makes values infinite")
