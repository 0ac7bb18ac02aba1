"""Headers of NRRD, attached (``.nrrd``) and detached (``.nhdr``), after Teem's definition."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_crii.errors import ScanError
from napari_crii.geometry import Geometry
from napari_crii.io._refusal import refusing
from napari_crii.io._stream import Packing
from napari_crii.io.raw_image import Fields, RawImage, Remarks, checked_geometry, data_file, shown

_LONGEST_HEADER = 4 << 20
_TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}
_DTYPES = {name: dtype for dtype, names in _TYPES.items() for name in names}
_PACKINGS: dict[str, Packing] = {"raw": "raw", "gzip": "gzip", "gz": "gzip"}
_SPACES = {
    "right-anterior-superior": (-1, -1, 1),
    "ras": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1),
    "las": (1, -1, 1),
    "left-posterior-superior": (1, 1, 1),
    "lps": (1, 1, 1),
}
_MM_PER_UNIT = {"m": 1000.0, "cm": 10.0, "mm": 1.0, "um": 1e-3, "nm": 1e-6}
_UNIT_NAMES: dict[str, str] = {
    **{"meter": "m", "metre": "m", "centimeter": "cm", "centimetre": "cm", "micron": "um"},
    **{"millimeter": "mm", "millimetre": "mm", "micrometer": "um", "micrometre": "um"},
    **{"nanometer": "nm", "nanometre": "nm", "\u00b5m": "um", "\u03bcm": "um"},
}
_NO_UNIT = ("", "???", "none")
_COLOUR_KINDS = ("rgb-color", "rgba-color", "3-color", "4-color")
_SPATIAL_KINDS = ("domain", "space")

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class _Axis:
    """One stored axis: its length, its step in space or None, its kind."""

    size: int
    step: tuple[float, ...] | None
    kind: str


def read_nrrd_header(path: str | Path) -> RawImage:
    """Parse a header; key/value pairs, which may tell of a patient, are passed over.

    Raises
    ------
    ScanError
        If it is no NRRD, or says what cannot be read here.
    """
    with refusing(path, "NRRD file"):
        fields, end = _fields(path)
        axes = _axes(fields)
        dtype = _dtype(path, fields)
        letters = _letters(path, axes, dtype)
        data, start, packing = _data(Path(path), fields, end)
        geometry, remarks = _geometry(fields, axes, letters)
        return RawImage(
            data=data,
            start=start,
            packing=packing,
            dtype=dtype,
            sizes=tuple(a.size for a in axes)[::-1],
            axes=letters[::-1],
            geometry=geometry,
            remarks=remarks,
        )


def _fields(path: str | Path) -> tuple[Fields, int]:
    """Return field names, squeezed and in lower case, to values; and where the header ends."""
    fields = Fields()
    with open(path, "rb") as stream:
        if not stream.readline(64).startswith(b"NRRD000"):
            raise ValueError("it does not begin with NRRD000")
        while line := stream.readline(_LONGEST_HEADER):
            text = line.decode("utf-8", "replace").strip()
            if not text:
                break
            name, colon, value = text.partition(": ")
            if colon and ":=" not in name and not text.startswith("#"):
                fields[name.lower().replace(" ", "")] = value.strip()
            if stream.tell() > _LONGEST_HEADER:
                raise ValueError("its header has no end")
        return fields, stream.tell()


def _dtype(path: str | Path, fields: Fields) -> np.dtype[Any]:
    name = fields["type"].lower()
    if name not in _DTYPES:
        raise ScanError(f"{path} holds voxels of type {shown(name)}, which is not supported")
    dtype = np.dtype(_DTYPES[name])
    if dtype.itemsize == 1:
        return dtype
    endian = fields.get("endian", "").lower()
    if endian not in ("little", "big"):
        raise ScanError(f"{path} does not tell its byte order ('endian')")
    return dtype.newbyteorder(">" if endian == "big" else "<")


def _data(path: Path, fields: Fields, end: int) -> tuple[Path, int, Packing]:
    encoding = fields["encoding"].lower()
    if encoding not in _PACKINGS:
        raise ScanError(f"{path} has the encoding {shown(encoding)}: save it as raw or gzip")
    skipped = int(fields.get("byteskip", 0))
    if int(fields.get("lineskip", 0)) or (skipped and _PACKINGS[encoding] != "raw"):
        raise ScanError(f"{path} skips lines or packed bytes before its voxels: save it anew")
    if skipped < -1:
        raise ValueError(f"its 'byte skip' is {skipped}")
    name = fields.get("datafile")
    if name is None and path.suffix.lower() == ".nhdr":
        raise ScanError(f"{path} is a detached header, but names no data file")
    data, start = (path, end) if name is None else (data_file(path, name), 0)
    return data, skipped if skipped < 0 else start + skipped, _PACKINGS[encoding]


def _axes(fields: Fields) -> list[_Axis]:
    """Return the stored axes, the fastest first."""
    sizes = [int(n) for n in fields["sizes"].split()]
    count = int(fields["dimension"])
    if len(sizes) != count or not 2 <= count <= 5:
        raise ValueError(f"it has {len(sizes)} sizes for {count} dimensions")
    kinds = fields.get("kinds", "").lower().split() or ["?"] * count
    steps = _steps(fields, count)
    if len(kinds) != count or len(steps) != count:
        raise ValueError(f"its kinds or directions are not one for each of {count} axes")
    return [_Axis(*facts) for facts in zip(sizes, steps, kinds, strict=True)]


def _steps(fields: Fields, count: int) -> list[tuple[float, ...] | None]:
    if "spacedirections" in fields:
        found = re.findall(r"none|\([^)]*\)", fields["spacedirections"].lower())
        return [None if text == "none" else _vector(text) for text in found]
    spacings = [float(s) for s in fields.get("spacings", "").split()] or [math.nan] * count
    # Without directions each axis with a spacing runs along its own.
    return [None if math.isnan(s) else (s,) for s in spacings]


def _vector(text: str) -> tuple[float, ...]:
    return tuple(float(number) for number in text.strip("() ").split(","))


def _letters(path: str | Path, axes: list[_Axis], dtype: np.dtype[Any]) -> str:
    """Name the axes, fastest first: at most three lie in space, one is colour, one volumes."""
    spatial = [i for i, axis in enumerate(axes) if _is_spatial(axis)]
    if not spatial:
        # A bare header: what is said of neither axis is space.
        spatial = [i for i, axis in enumerate(axes) if axis.kind in ("?", "???", "none")]
    letters = ["t"] * len(axes)
    for index, letter in zip(spatial, "xyz", strict=False):
        letters[index] = letter
    if letters[0] == "t" and _is_colour(axes[0], dtype):
        letters[0] = "c"
    if letters.count("t") > 1 or "y" not in letters:
        raise ScanError(f"{path} has {len(axes)} axes, of which {len(spatial)} lie in space")
    return "".join(letters)


def _is_spatial(axis: _Axis) -> bool:
    return axis.kind in _SPATIAL_KINDS or (
        axis.step is not None and axis.kind in ("?", "???", "none")
    )


def _is_colour(axis: _Axis, dtype: np.dtype[Any]) -> bool:
    # ITK writes colours as vectors; vectors of other numbers are no colours.
    bytes_of_three = axis.kind in ("vector", "3-vector") and axis.size == 3 and dtype == np.uint8
    return axis.kind in _COLOUR_KINDS or bytes_of_three


def _geometry(fields: Fields, axes: list[_Axis], letters: str) -> tuple[Geometry, Remarks]:
    steps = [axes[letters.index(letter)].step for letter in "xyz" if letter in letters]
    if any(step is None for step in steps):
        return Geometry.pixels(), ("the file tells neither voxel spacing nor orientation",)
    space = fields.get("space", "").lower().removesuffix("-time")
    known = space in _SPACES
    remarks: Remarks = ()
    matrix = np.eye(4)
    for column, step in enumerate(steps):
        matrix[:3, column] = _in_space(step or (), column)
    if len(steps) == 2:
        matrix[:3, 2], remarks = _through(matrix), _FLAT
    if "spaceorigin" in fields:
        origin = _vector(fields["spaceorigin"])[:3]
        matrix[: len(origin), 3] = origin
    if not known:
        remarks += ("orientation unknown: the file names no anatomical space, LPS was taken",)
    unit = _unit(fields, letters)
    if unit != "mm":
        matrix[:3] *= _MM_PER_UNIT[unit]
        remarks += (f"the file counts in {unit}, converted to mm",)
    flips = np.diag([*_SPACES.get(space, (1, 1, 1)), 1.0])
    return checked_geometry(flips @ matrix), remarks


def _unit(fields: Fields, letters: str) -> str:
    """Return the unit of space; mm where none is told, as SimpleITK takes it for all."""
    told = fields.get("spaceunits", "")
    names = re.findall(r'"([^"]*)"', told or fields.get("units", ""))
    # The units of a space come in its own order, time last; others belong to one axis each.
    spatial = names[:3] if told else [n for n, c in zip(names, letters, strict=False) if c in "xyz"]
    known = [n.strip().lower() for n in spatial if n.strip().lower() not in _NO_UNIT]
    plain: list[str] = [_UNIT_NAMES.get(n.removesuffix("s"), n) for n in known] or ["mm"]
    if len(set(plain)) > 1 or plain[0] not in _MM_PER_UNIT:
        raise ValueError(f"its axes count in the unit {shown(', '.join(known))}, not in mm")
    return plain[0]


_FLAT: Remarks = ("the slice's thickness is unknown and was taken as 1 mm",)


def _in_space(step: tuple[float, ...], axis: int) -> Matrix:
    """Return a step as a vector of three; a lone spacing points along its own axis."""
    vector = np.zeros(3)
    if len(step) == 1:
        vector[axis] = step[0]
    else:
        vector[: min(3, len(step))] = step[:3]
    return vector


def _through(matrix: Matrix) -> Matrix:
    """Return the unit vector that leaves a flat image upright."""
    normal = np.cross(matrix[:3, 0], matrix[:3, 1])
    return np.asarray(normal / np.linalg.norm(normal))
