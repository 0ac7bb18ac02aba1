"""TIFF files of several pages: slices of one scan, with the size that ImageJ or OME states."""

from __future__ import annotations

import logging
import math
import os
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from napari_crii.errors import ScanError
from napari_crii.geometry import Geometry
from napari_crii.io._choice import chosen_volume
from napari_crii.io._refusal import refusing
from napari_crii.io._stream import HIGHEST_RATIO
from napari_crii.io._values import Array, finite, native
from napari_crii.io.kinds import stem_of
from napari_crii.volume import Volume

_MM = {"mm": 1.0, "cm": 10.0, "m": 1e3, "nm": 1e-6, "um": 1e-3, "micron": 1e-3, "inch": 25.4}
_NO_SIZE = ("the file tells no size of its voxels",)
_LARGEST_NOTE = 1 << 22
# Of a damaged file the user reads our one sentence; without a handler tifffile would print more.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

Remarks = tuple[str, ...]


def tiff_pages(path: str | Path) -> int:
    """Return how many pages a TIFF has; errors as `read_tiff_stack`.

    Large stacks of ImageJ describe their first page only: what they say of themselves counts.
    """
    with refusing(path, "TIFF image"), tifffile.TiffFile(path) as tiff:
        return max([len(tiff.pages), *(math.prod(_outer(s).values()) for s in tiff.series)])


def tiff_volumes(path: str | Path) -> int:
    """Return how many volumes a TIFF of several pages holds; errors as `read_tiff_stack`."""
    with refusing(path, "TIFF image"), tifffile.TiffFile(path) as tiff:
        return _split(path, _series(path, tiff))[0]


def read_tiff_stack(
    path: str | Path, labels: bool = False, volume_index: int | None = None
) -> Volume:
    """Read the pages of a TIFF as slices.

    Parameters
    ----------
    path
        A TIFF with several pages of one size and type.
    labels
        Leave NaN and infinite values in place, for masks to be refused by them.
    volume_index
        Which time point of a series of stacks.

    Returns
    -------
    Volume
        (Z, Y, X) or (Z, Y, X, 3); in mm where the file states all three sizes, else in pixels.

    Raises
    ------
    ScanError
        If the file is damaged, or its pages are no slices of one scan.
    """
    with refusing(path, "TIFF image"), tifffile.TiffFile(path) as tiff:
        series = _series(path, tiff)
        volumes, slices = _split(path, series)
        index, chosen = chosen_volume(path, volumes, volume_index)
        values = native(_without_alpha(path, _pages(series, index * slices, slices)))
        array, mended = (values, ()) if labels else finite(values)
        geometry, remarks = _geometry(tiff)
        return Volume(array, geometry, stem_of(path), chosen + remarks + mended)


def _series(path: str | Path, tiff: tifffile.TiffFile) -> Any:
    """Return the one series of equal pages, whose promise the file can keep."""
    if len(tiff.series) != 1:
        raise ScanError(f"{path} holds pages of different sizes, which are no slices of one scan")
    series = tiff.series[0]
    page = series.keyframe
    ratio = 1 if page.compression == 1 else HIGHEST_RATIO["zlib"]
    if series.nbytes > os.path.getsize(path) * ratio:
        raise ScanError(f"{path} is truncated: it promises {series.nbytes} bytes of pixels")
    if page.compression != 1 and not _can_decode(page):
        name = tifffile.COMPRESSION(page.compression).name
        raise ScanError(f"{path} is packed as {name}, which needs pip install imagecodecs")
    return series


def _pages(series: Any, first: int, count: int) -> Array:
    """Return `count` pages from `first` on, (Z, Y, X) or (Z, Y, X, samples)."""
    total = math.prod(_outer(series).values())
    if count == total or len(series.pages) != total:
        # All at once: pages that lie one after the other are read in one go.
        array = np.asarray(series.asarray()).reshape(total, *series.keyframe.shape)
        return array[first : first + count]
    array = np.empty((count, *series.keyframe.shape), dtype=series.dtype)
    for target, page in zip(array, series.pages[first : first + count], strict=True):
        target[...] = page.asarray()
    return array


def _can_decode(page: Any) -> bool:
    try:
        return callable(tifffile.TIFF.DECOMPRESSORS[page.compression])
    except KeyError:
        return False


def _outer(series: Any) -> dict[str, int]:
    """Return the axes other than rows, columns and samples, with their lengths."""
    pairs = zip(series.axes, series.shape, strict=True)
    return {axis: size for axis, size in pairs if axis not in "YXS"}


def _split(path: str | Path, series: Any) -> tuple[int, int]:
    """Return the number of volumes and of slices; volumes vary slowest."""
    outer = {axis: size for axis, size in _outer(series).items() if size > 1}
    if not outer:
        return 1, 1
    if len(outer) == 1 and "C" not in outer:
        return 1, next(iter(outer.values()))
    if list(outer) == ["T", "Z"]:
        return outer["T"], outer["Z"]
    told = " x ".join(f"{size} {axis}" for axis, size in outer.items())
    raise ScanError(f"{path} holds {told} pages: save the slices of one channel")


def _without_alpha(path: str | Path, array: Array) -> Array:
    if array.ndim == 3 or (array.ndim == 4 and array.shape[-1] == 3):
        return array
    if array.ndim == 4 and array.shape[-1] == 4:
        return np.ascontiguousarray(array[..., :3])
    raise ScanError(f"{path} has pages of shape {array.shape[1:]}, which are neither grey nor RGB")


def _geometry(tiff: tifffile.TiffFile) -> tuple[Geometry, Remarks]:
    sizes = _ome_sizes(tiff.ome_metadata) if tiff.is_ome else _imagej_sizes(tiff)
    if sizes is None or not np.isfinite(sizes).all() or min(sizes) <= 0:
        return Geometry.pixels(), _NO_SIZE
    return Geometry(sizes), ("orientation unknown: TIFF does not tell it",)


def _imagej_sizes(tiff: tifffile.TiffFile) -> tuple[float, float, float] | None:
    """Return sizes (z, y, x) in mm of an ImageJ stack that states all of them."""
    told: dict[str, Any] = tiff.imagej_metadata or {}
    unit = _MM.get(_plain(str(told.get("unit", ""))))
    tags = tiff.pages.first.tags
    if unit is None or "spacing" not in told or "XResolution" not in tags:
        return None
    per_unit = [_ratio(tags[name].value) for name in ("YResolution", "XResolution")]
    if min(per_unit) <= 0:
        return None
    return (float(told["spacing"]) * unit, unit / per_unit[0], unit / per_unit[1])


def _ratio(value: tuple[int, int]) -> float:
    return value[0] / value[1] if value[1] else 0.0


def _ome_sizes(text: str | None) -> tuple[float, float, float] | None:
    """Return PhysicalSize Z, Y, X in mm where an OME header states all three."""
    # An XML document with its own entities could grow without bound.
    if text is None or len(text) > _LARGEST_NOTE or "<!DOCTYPE" in text or "<!ENTITY" in text:
        return None
    pixels = ElementTree.fromstring(text).find(".//{*}Pixels")
    if pixels is None:
        return None
    sizes = []
    for axis in "ZYX":
        size = pixels.get(f"PhysicalSize{axis}")
        unit = _MM.get(_plain(pixels.get(f"PhysicalSize{axis}Unit", "um")))
        if size is None or unit is None:
            return None
        sizes.append(float(size) * unit)
    return (sizes[0], sizes[1], sizes[2])


def _plain(unit: str) -> str:
    return unit.replace("\\u00B5", "u").replace("\u00b5", "u").replace("\u03bc", "u").lower()
