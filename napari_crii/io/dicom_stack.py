"""Whether slices form one even stack, and which grid it has: pure geometry of headers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_crii.errors import ScanError
from napari_crii.geometry import ORTHOGONALITY_TOLERANCE, Geometry
from napari_crii.io.dicom_headers import Header

Vector = NDArray[np.float64]

# The tolerances of highdicom: spacing relative, directions absolute, positions in mm.
SPACING_TOLERANCE = 1e-2
PERPENDICULAR_TOLERANCE = 1e-3
SAME_POSITION_MM = 1e-3
_UNEVENNESS_WORTH_TELLING = 1e-3


@dataclass(frozen=True)
class Stack:
    """Slices of one series and one orientation.

    Attributes
    ----------
    headers
        In ascending position along the normal, which is row direction x column direction.
    """

    headers: tuple[Header, ...]

    @property
    def files(self) -> set[Path]:
        """The files that hold the slices."""
        return {header.path for header in self.headers}

    def described(self, folder: Path) -> str:
        """Describe the stack without anything that could identify a patient."""
        first = self.headers[0]
        rows, columns = first.shape
        size = f"{len(self.headers)} slices of {rows} x {columns}"
        file = first.path.relative_to(folder) if folder in first.path.parents else first.path.name
        return f"{first.modality or 'images'} of {size} from {file}"


def group(headers: Sequence[Header]) -> list[Stack]:
    """Group images by series and orientation, each sorted along its normal."""
    groups: list[list[Header]] = []
    for header in headers:
        for members in groups:
            if _same_stack(members[0], header):
                members.append(header)
                break
        else:
            groups.append([header])
    return [Stack(tuple(_sorted(members))) for members in groups]


def same_position(one: Header, other: Header) -> bool:
    """Whether two slices lie at the same place, within a thousandth of a millimetre."""
    if one.position is None or other.position is None:
        return False
    return float(np.linalg.norm(one.position - other.position)) < SAME_POSITION_MM


def without_repeats(headers: Sequence[Header]) -> list[Header]:
    """Return sorted slices with only the first of those at each position."""
    kept: list[Header] = []
    for header in headers:
        if not (kept and same_position(kept[-1], header)):
            kept.append(header)
    return kept


def stack_geometry(headers: Sequence[Header]) -> tuple[Geometry, tuple[str, ...]]:
    """Return the grid of sorted slices without repeats.

    Returns
    -------
    geometry
        Axis 0 from the first to the last slice, axis 1 down the columns, axis 2 along the rows;
        sheared where the gantry was tilted.
    remarks
        Tells of tilt, of slightly uneven spacing, and of what the headers do not say.

    Raises
    ------
    ScanError
        If slices disagree in size or spacing, are missing, or are not one stack.
    """
    _check_agreement(headers)
    first = headers[0]
    if first.rows_cosines is None or first.columns_cosines is None or first.position is None:
        return _without_orientation(headers)
    if first.pixel_spacing is None:
        raise ScanError(f"{first.path} lies in space but does not tell its PixelSpacing")
    step, remarks = _step(headers, _normal(first))
    frame, doubts = _frame_of_reference(headers)
    distance = float(np.linalg.norm(step))
    geometry = Geometry(
        spacing=(distance, *first.pixel_spacing),
        origin=_vector(first.position),
        direction=(
            _vector(step / distance),
            _vector(first.columns_cosines),
            _vector(first.rows_cosines),
        ),
        frame_of_reference=frame,
    )
    return geometry, remarks + doubts


def _same_stack(one: Header, other: Header) -> bool:
    # An image of several frames is complete in itself.
    if 1 not in (one.frames, other.frames) and one.path != other.path:
        return False
    if one.series != other.series or (one.rows_cosines is None) != (other.rows_cosines is None):
        return False
    return one.rows_cosines is None or np.allclose(
        _orientation(one), _orientation(other), rtol=0, atol=PERPENDICULAR_TOLERANCE
    )


def _orientation(header: Header) -> Vector:
    return np.array([header.rows_cosines, header.columns_cosines], dtype=np.float64)


def _sorted(headers: list[Header]) -> list[Header]:
    if headers[0].rows_cosines is None or any(h.position is None for h in headers):
        return headers
    normal = np.cross(*_orientation(headers[0]))
    return sorted(headers, key=lambda h: float(np.dot(normal, np.array(h.position))))


def _check_agreement(headers: Sequence[Header]) -> None:
    """Refuse slices that do not share one matrix, one spacing and one colour space."""
    first = headers[0]
    for other in headers[1:]:
        for what, a, b in (
            ("size", first.shape, other.shape),
            ("photometric interpretation", first.photometric, other.photometric),
            ("bits", first.bits_stored, other.bits_stored),
        ):
            if a != b:
                raise ScanError(f"{other.path} has {what} {b}, but {first.path.name} has {a}")
        _check_pixel_spacing(first, other)


def _check_pixel_spacing(first: Header, other: Header) -> None:
    spacings = first.pixel_spacing or (0.0, 0.0), other.pixel_spacing or (0.0, 0.0)
    if not np.allclose(*spacings, rtol=1e-4, atol=0):
        raise ScanError(
            f"{other.path} has pixel spacing {spacings[1]}, but {first.path.name} has {spacings[0]}"
        )


def _without_orientation(headers: Sequence[Header]) -> tuple[Geometry, tuple[str, ...]]:
    first = headers[0]
    if len(headers) > 1 and first.frames == 1:
        raise ScanError(
            f"{first.path} and {len(headers) - 1} more images of its series do not tell "
            "where they lie: open them one by one, each in a folder of its own"
        )
    if first.pixel_spacing is None or (len(headers) > 1 and first.thickness is None):
        return Geometry.pixels(), ("the file tells neither spacing nor orientation",)
    rows, columns = first.pixel_spacing
    geometry = Geometry((first.thickness or 1.0, rows, columns))
    return geometry, ("orientation unknown: the file does not tell where the image lies",)


def _normal(header: Header) -> Vector:
    rows, columns = _orientation(header)
    if abs(float(np.dot(rows, columns))) > PERPENDICULAR_TOLERANCE:
        raise ScanError(f"{header.path} has row and column directions that are not perpendicular")
    return np.asarray(np.cross(rows, columns))


def _step(headers: Sequence[Header], normal: Vector) -> tuple[Vector, tuple[str, ...]]:
    """Return the vector from one slice to the next."""
    if len(headers) == 1:
        thickness = headers[0].thickness
        if thickness is None:
            return normal, ("the slice's thickness is unknown and was taken as 1 mm",)
        return normal * thickness, ()
    if any(h.position is None for h in headers):
        raise ScanError(f"{headers[0].path.parent} holds slices without ImagePositionPatient")
    positions = np.array([h.position for h in headers], dtype=np.float64)
    uneven = _check_gaps(headers, np.diff(positions, axis=0))
    step = (positions[-1] - positions[0]) / (len(headers) - 1)
    along = normal * np.dot(step, normal)
    tilt = np.arctan2(np.linalg.norm(step - along), np.linalg.norm(along))
    if tilt < ORTHOGONALITY_TOLERANCE:
        # Positions are rounded decimals: other readers, and their masks, follow the normal.
        return along, uneven
    remark = f"slices shift sideways by {np.degrees(tilt):.2g} degrees, as with a tilted gantry"
    return step, (*uneven, f"{remark}: the grid is sheared")


def _check_gaps(headers: Sequence[Header], gaps: Vector) -> tuple[str, ...]:
    """Refuse gaps (N, 3) that differ by more than a hundredth; tell of smaller unevenness."""
    lengths = np.linalg.norm(gaps, axis=1)
    # The lower median is a real gap even where as many slices are missing as not.
    usual = gaps[np.argsort(lengths)[(len(gaps) - 1) // 2]]
    length = float(np.linalg.norm(usual))
    deviations = np.linalg.norm(gaps - usual, axis=1) / length
    worst = int(deviations.argmax())
    if deviations[worst] > SPACING_TOLERANCE:
        between = f"between slice {worst + 1} and {worst + 2}"
        names = f"{headers[worst].path.name} and {headers[worst + 1].path.name}"
        if abs(lengths[worst] - length) > SPACING_TOLERANCE * length:
            fault = f"{lengths[worst]:.4g} mm instead of {length:.4g} mm"
        else:
            fault = "a step in another direction than elsewhere"
        raise ScanError(
            f"{headers[worst].path.parent} is not an even stack: {between} ({names}): {fault}"
        )
    low, high = float(lengths.min()), float(lengths.max())
    if high - low > _UNEVENNESS_WORTH_TELLING * length:
        return (f"slice spacing varies between {low:.4g} and {high:.4g} mm; the mean is used",)
    return ()


def _frame_of_reference(headers: Sequence[Header]) -> tuple[str, tuple[str, ...]]:
    """Return the common frame; anonymisers that invent one per slice leave none."""
    frames = {h.frame_of_reference for h in headers}
    if len(frames) == 1:
        return frames.pop(), ()
    return "", ("the slices name different frames of reference, none of which was kept",)


def _vector(values: Vector) -> tuple[float, float, float]:
    first, second, third = (float(v) for v in values)
    return (first, second, third)
