"""Headers of GIPL (Guy's Image Processing Lab): 256 bytes, big-endian, without orientation."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np

from napari_crii.errors import ScanError
from napari_crii.io._refusal import refusing
from napari_crii.io._stream import Packing
from napari_crii.io.raw_image import RawImage, checked_geometry

_BYTES = 256
_MAGIC = (719555000, 4026526128)
_DTYPES = {7: "i1", 8: "u1", 15: ">i2", 16: ">u2", 31: ">u4", 32: ">i4", 64: ">f4", 65: ">f8"}


def read_gipl_header(path: str | Path) -> RawImage:
    """Parse the header of ``.gipl`` or ``.gipl.gz``; its free text is passed over.

    Raises
    ------
    ScanError
        If it is no GIPL, or holds voxels of another type than whole or real numbers.
    """
    with refusing(path, "GIPL file"):
        packing: Packing = "gzip" if str(path).lower().endswith(".gz") else "raw"
        with gzip.open(path) if packing == "gzip" else open(path, "rb") as stream:
            header = stream.read(_BYTES)
        if len(header) < _BYTES or struct.unpack(">I", header[252:])[0] not in _MAGIC:
            raise ValueError("it has no GIPL header")
        x, y, z, t, kind = struct.unpack(">5H", header[:10])
        if kind not in _DTYPES:
            raise ScanError(f"{path} holds voxels of GIPL type {kind}, which is not supported")
        spacing = struct.unpack(">3f", header[10:22])
        matrix = np.diag([*spacing, 1.0])
        matrix[:3, 3] = struct.unpack(">3d", header[204:228])
        return RawImage(
            data=Path(path),
            start=0,
            packing=packing,
            dtype=np.dtype(_DTYPES[kind]),
            sizes=(max(t, 1), max(z, 1), y, x),
            axes="tzyx",
            geometry=checked_geometry(matrix),
            skip=_BYTES,
            remarks=("orientation unknown: GIPL does not tell it, LPS was taken",),
        )
