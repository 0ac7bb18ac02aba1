"""What each frame of a multi-frame DICOM object says: functional groups, PS3.3 C.7.6.16."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pydicom
from numpy.typing import NDArray

from napari_crii.io._elements import numbers, thickness, value

# Nested elements are named as well: a filter of tags reaches into sequences.
GROUP_KEYWORDS = (
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "PixelMeasuresSequence",
    "PlanePositionSequence", "PlaneOrientationSequence", "PixelValueTransformationSequence",
    "FrameContentSequence", "CardiacSynchronizationSequence", "MREchoSequence",
    "MRDiffusionSequence", "TemporalPositionIndex", "NominalCardiacTriggerDelayTime",
    "FrameReferenceDateTime", "FrameAcquisitionDateTime", "EffectiveEchoTime", "DiffusionBValue",
)  # fmt: skip
_PHASES = (
    ("FrameContentSequence", "TemporalPositionIndex"),
    ("CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime"),
    ("MREchoSequence", "EffectiveEchoTime"),
    ("MRDiffusionSequence", "DiffusionBValue"),
    ("FrameContentSequence", "FrameReferenceDateTime"),
    ("FrameContentSequence", "FrameAcquisitionDateTime"),
)


@dataclass(frozen=True, eq=False)
class FrameFacts:
    """Where one frame lies and how it is scaled; None where it does not say.

    Attributes
    ----------
    orientation
        LPS directions of the rows and of the columns, six numbers.
    phases
        What may tell it from other frames at its place.
    """

    position: NDArray[np.float64] | None
    orientation: NDArray[np.float64] | None
    pixel_spacing: tuple[float, float] | None
    thickness: float | None
    slope: float | None
    intercept: float | None
    phases: tuple[float | str | None, ...]


def frame_facts(data: pydicom.Dataset, frames: int) -> list[FrameFacts]:
    """Return the facts of every frame; an object without functional groups says nothing.

    Raises
    ------
    ValueError
        If there are not as many groups as frames.
    """
    own = value(data, "PerFrameFunctionalGroupsSequence", None)
    shared = value(data, "SharedFunctionalGroupsSequence", None)
    if own is not None and len(own) != frames:
        raise ValueError(f"it describes {len(own)} of its {frames} frames")
    common = shared[0] if shared else pydicom.Dataset()
    groups = [pydicom.Dataset()] * frames if own is None else own
    return [_facts(group, common) for group in groups]


def _facts(own: pydicom.Dataset, shared: pydicom.Dataset) -> FrameFacts:
    def group(keyword: str) -> pydicom.Dataset:
        items = value(own, keyword, None) or value(shared, keyword, None)
        return items[0] if items else pydicom.Dataset()

    measures = group("PixelMeasuresSequence")
    spacing = numbers(measures, "PixelSpacing", 2)
    scale = group("PixelValueTransformationSequence")
    return FrameFacts(
        position=numbers(group("PlanePositionSequence"), "ImagePositionPatient", 3),
        orientation=numbers(group("PlaneOrientationSequence"), "ImageOrientationPatient", 6),
        pixel_spacing=None if spacing is None else (float(spacing[0]), float(spacing[1])),
        thickness=thickness(measures),
        slope=_number(scale, "RescaleSlope"),
        intercept=_number(scale, "RescaleIntercept"),
        phases=tuple(_phase(group(sequence), keyword) for sequence, keyword in _PHASES),
    )


def _number(data: pydicom.Dataset, keyword: str) -> float | None:
    found = value(data, keyword, None)
    return None if found is None else float(found)


def _phase(data: pydicom.Dataset, keyword: str) -> float | str | None:
    found = value(data, keyword, None)
    return found if found is None or isinstance(found, float | int) else str(found)
