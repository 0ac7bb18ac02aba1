"""Headers of MetaImage, attached (``.mha``) and detached (``.mhd``): LPS, as ITK takes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from napari_crii.errors import ScanError
from napari_crii.geometry import Geometry
from napari_crii.io._refusal import refusing
from napari_crii.io._stream import Packing
from napari_crii.io.raw_image import Fields, RawImage, Remarks, checked_geometry, data_file, shown

_LONGEST_HEADER = 1 << 20
_DTYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
_LETTERS = "xyzt"


def read_metaimage_header(path: str | Path) -> RawImage:
    """Parse a header; fields that may tell of a patient are passed over.

    Raises
    ------
    ScanError
        If it is no MetaImage, or says what cannot be read here.
    """
    with refusing(path, "MetaImage file"):
        fields, end = _fields(path)
        sizes = [int(n) for n in fields["DimSize"].split()]
        count = int(fields["NDims"])
        if len(sizes) != count or not 2 <= count <= 4:
            raise ValueError(f"it has {len(sizes)} sizes for {count} dimensions")
        if min(sizes) < 1:
            raise ValueError(f"its size is {sizes}")
        channels = int(fields.get("ElementNumberOfChannels", 1))
        data, start, packing = _data(Path(path), fields, end)
        geometry, remarks = _geometry(fields, count)
        return RawImage(
            data=data,
            start=start,
            packing=packing,
            dtype=_dtype(path, fields),
            sizes=(*sizes[::-1], *((channels,) if channels != 1 else ())),
            axes=_LETTERS[:count][::-1] + ("c" if channels != 1 else ""),
            geometry=geometry,
            remarks=remarks,
        )


def _fields(path: str | Path) -> tuple[Fields, int]:
    """Return the fields up to ``ElementDataFile``, which is the last, and where it ends."""
    fields = Fields()
    with open(path, "rb") as stream:
        while line := stream.readline(_LONGEST_HEADER):
            name, equals, value = line.decode("utf-8", "replace").partition("=")
            if not equals or stream.tell() > _LONGEST_HEADER:
                break
            fields[name.strip()] = value.strip()
            if name.strip() == "ElementDataFile":
                return fields, stream.tell()
    raise ValueError("its header does not end with ElementDataFile")


def _flag(fields: Fields, *names: str) -> bool:
    return any(fields.get(name, "").lower() in ("true", "1") for name in names)


def _dtype(path: str | Path, fields: Fields) -> np.dtype[Any]:
    name = fields["ElementType"].upper().removesuffix("_ARRAY")
    if name not in _DTYPES:
        raise ScanError(f"{path} holds voxels of type {shown(name)}, which is not supported")
    big = _flag(fields, "BinaryDataByteOrderMSB", "ElementByteOrderMSB")
    return np.dtype(_DTYPES[name]).newbyteorder(">" if big else "<")


def _data(path: Path, fields: Fields, end: int) -> tuple[Path, int, Packing]:
    if not _flag(Fields({"BinaryData": "True"} | fields), "BinaryData"):
        raise ScanError(f"{path} holds its voxels as text: save it as binary")
    packing: Packing = "zlib" if _flag(fields, "CompressedData") else "raw"
    skipped = int(fields.get("HeaderSize", 0))
    if skipped < -1 or (skipped and packing == "zlib"):
        raise ValueError(f"its HeaderSize is {skipped}")
    name = fields["ElementDataFile"]
    if name.upper() == "LOCAL":
        return path, skipped if skipped < 0 else end + skipped, packing
    if name.upper().startswith("LIST") or "%" in name:
        raise ScanError(f"{path} spreads its voxels over several files: save it as .mha")
    return data_file(path, name), skipped, packing


def _geometry(fields: Fields, count: int) -> tuple[Geometry, Remarks]:
    spacing = _numbers(fields, ("ElementSpacing", "ElementSize"), count)
    if spacing is None:
        return Geometry.pixels(), ("the file tells no voxel spacing",)
    # Each row of the file's matrix is the direction of one axis.
    axes = _numbers(fields, ("TransformMatrix", "Orientation", "Rotation"), count * count)
    axes = np.eye(count) if axes is None else axes.reshape(count, count)
    origin = _numbers(fields, ("Offset", "Position", "Origin"), count)
    space = min(count, 3)
    matrix = np.eye(4)
    matrix[:space, :space] = (axes[:space, :space] * spacing[:space, None]).T
    matrix[:space, 3] = 0 if origin is None else origin[:space]
    if count == 2:
        matrix[2, 2] = np.sign(np.linalg.det(matrix[:2, :2])) or 1.0
        return checked_geometry(matrix), ("the slice's thickness is unknown, taken as 1 mm",)
    return checked_geometry(matrix), ()


def _numbers(fields: Fields, names: tuple[str, ...], count: int) -> Any:
    """Return the numbers of the first of several synonyms; None if no such field exists."""
    for name in names:
        if name in fields:
            numbers = np.array(fields[name].split(), dtype=np.float64)
            if numbers.shape != (count,):
                raise ValueError(f"{name} must hold {count} numbers")
            return numbers
    return None
