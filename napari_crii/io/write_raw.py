"""Bytes of NRRD and MetaImage files: a short header, packed voxels, and nothing of a patient."""

from __future__ import annotations

import gzip
import sys
import zlib

import numpy as np
from numpy.typing import NDArray

from napari_crii.geometry import Geometry
from napari_crii.io._values import Array

_FAST = 1
_NRRD_TYPES = {"u1": "uint8", "u2": "uint16", "u4": "uint32", "u8": "uint64", "f4": "float"}
_META_TYPES = {"u1": "UCHAR", "u2": "USHORT", "u4": "UINT", "u8": "ULONG_LONG", "f4": "FLOAT"}


def nrrd_bytes(array: Array, geometry: Geometry, packed: bool = True) -> bytes:
    """Return an attached NRRD in LPS; without directions where the scan has no size.

    Parameters
    ----------
    array
        (Z, Y, X) of unsigned integers or float32.
    """
    lines = [
        "NRRD0004",
        f"type: {_NRRD_TYPES[_code(array)]}",
        "dimension: 3",
        f"sizes: {_sizes(array)}",
        "kinds: domain domain domain",
        f"endian: {sys.byteorder}",
        f"encoding: {'gzip' if packed else 'raw'}",
    ]
    if geometry.unit == "mm":
        steps = _steps(geometry)
        lines[2:3] = ["dimension: 3", "space: left-posterior-superior"]
        lines.append("space directions: " + " ".join(f"({_joined(s, ',')})" for s in steps))
        lines.append(f"space origin: ({_joined(np.array(geometry.origin), ',')})")
    header = "\n".join(lines) + "\n\n"
    voxels = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
    content = gzip.compress(voxels, compresslevel=_FAST, mtime=0) if packed else voxels.tobytes()
    return header.encode("ascii") + content


def metaimage_bytes(array: Array, geometry: Geometry, packed: bool = True) -> bytes:
    """Return an attached MetaImage; without spacing where the scan has no size.

    Parameters
    ----------
    array
        (Z, Y, X) of unsigned integers or float32.
    """
    voxels = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
    content = zlib.compress(voxels, _FAST) if packed else voxels.tobytes()
    lines = [
        "ObjectType = Image",
        "NDims = 3",
        "BinaryData = True",
        f"BinaryDataByteOrderMSB = {sys.byteorder == 'big'}",
    ]
    if packed:
        lines += ["CompressedData = True", f"CompressedDataSize = {len(content)}"]
    if geometry.unit == "mm":
        directions = np.array(geometry.direction)[::-1].ravel()
        lines.append(f"TransformMatrix = {_joined(directions, ' ')}")
        lines.append(f"Offset = {_joined(np.array(geometry.origin), ' ')}")
        lines.append(f"ElementSpacing = {_joined(np.array(geometry.spacing[::-1]), ' ')}")
    lines += [
        f"DimSize = {_sizes(array)}",
        f"ElementType = MET_{_META_TYPES[_code(array)]}",
        "ElementDataFile = LOCAL\n",
    ]
    return "\n".join(lines).encode("ascii") + content


def _code(array: Array) -> str:
    return f"{array.dtype.kind}{array.dtype.itemsize}"


def _sizes(array: Array) -> str:
    return " ".join(str(n) for n in array.shape[::-1])


def _steps(geometry: Geometry) -> NDArray[np.float64]:
    """Return the LPS step along x, y, z, one a row."""
    return np.asarray((np.array(geometry.direction).T * geometry.spacing).T[::-1])


def _joined(values: NDArray[np.float64], between: str) -> str:
    return between.join(repr(float(value)) for value in values)
