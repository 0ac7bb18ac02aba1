"""Where a single image lies, in a JSON file beside it: PNG and TIFF have no place for it."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from napari_crii.errors import GeometryError
from napari_crii.geometry import Geometry
from napari_crii.io._values import Array

_FORMAT = "napari-crii geometry 1"
_LARGEST = 1 << 16

Remarks = tuple[str, ...]


def sidecar_of(image: Path) -> Path:
    """Return the name of an image's sidecar: ``mask.png.json`` for ``mask.png``."""
    return image.with_name(f"{image.name}.json")


def sidecar_text(array: Array, geometry: Geometry) -> str:
    """Return a sidecar's content: the grid (LPS, mm; array order), and a digest of the voxels.

    Parameters
    ----------
    array
        (1, Y, X), as the image holds it.
    """
    record = {
        "format": _FORMAT,
        "shape": list(array.shape),
        "spacing": list(geometry.spacing),
        "origin": list(geometry.origin),
        "direction": [list(axis) for axis in geometry.direction],
        "sha256": _digest(array),
    }
    return json.dumps(record, indent=1, allow_nan=False) + "\n"


def read_sidecar(image: Path, array: Array) -> tuple[Geometry | None, Remarks]:
    """Return the grid that stands beside an image.

    Returns
    -------
    geometry
        None where there is no sidecar, or it belongs to other voxels.
    remarks
        Tells of a sidecar that was not used.
    """
    path = sidecar_of(image)
    # Unlike `Path.is_file`, this does not raise where the longer name is too long.
    if not os.path.isfile(path) or path.stat().st_size > _LARGEST:
        return None, ()
    unused = (f"{path.name} beside it does not describe this image and was not used",)
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(record, dict) or record.get("format") != _FORMAT:
            return None, ()
        geometry = _geometry(record)
    except (ValueError, TypeError, KeyError, OSError, GeometryError):
        return None, unused
    return (geometry, ()) if record.get("sha256") == _digest(array) else (None, unused)


def _geometry(record: dict[str, Any]) -> Geometry:
    spacing, origin = (_three(record[key]) for key in ("spacing", "origin"))
    first, second, third = (_three(axis) for axis in record["direction"])
    return Geometry(spacing, origin, (first, second, third))


def _three(values: Any) -> tuple[float, float, float]:
    first, second, third = (float(value) for value in values)
    return (first, second, third)


def _digest(array: Array) -> str:
    native = np.ascontiguousarray(array)
    return hashlib.sha256(f"{native.dtype.name}{native.shape}".encode() + native.data).hexdigest()
