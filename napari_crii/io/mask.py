"""Masks of labels: what values mean, and on whose grid they lie."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_crii.errors import GeometryError, ScanError
from napari_crii.geometry import Geometry
from napari_crii.io._refusal import refusing
from napari_crii.io._values import Array, as_labels
from napari_crii.io.scan import read_as_stored
from napari_crii.volume import Volume

_MORE_THAN_CLASSES = 10
_SHARE_IN_ONE_PIECE = 0.9

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Mask:
    """A mask on disk, read.

    Attributes
    ----------
    labels
        (Z, Y, X) in the smallest unsigned type that fits.
    geometry
        Where they lie.
    remarks
        What was changed on the way, one sentence each.
    """

    labels: Array
    geometry: Geometry
    remarks: tuple[str, ...] = ()


def read_mask(
    path: str | Path,
    like: Volume | None = None,
    resample: bool = False,
    instances: bool | None = None,
) -> tuple[Array, Geometry]:
    """Read a mask of integer labels; what was changed on the way is logged.

    Parameters, meaning and errors as :func:`open_mask`.

    Returns
    -------
    labels
        (Z, Y, X) in the smallest unsigned type that fits.
    geometry
        Where the mask lies.
    """
    mask = open_mask(path, like, resample, instances)
    for remark in mask.remarks:
        _log.info("%s: %s", path, remark)
    return mask.labels, mask.geometry


def open_mask(
    path: str | Path,
    like: Volume | None = None,
    resample: bool = False,
    instances: bool | None = None,
) -> Mask:
    """Read a mask of integer labels, with remarks.

    Parameters
    ----------
    path
        A file of any format that scans come in; values {0, 255} mean class 1, and the colours of
        a palette image are taken as labels by their index.
    like
        The scan whose grid the mask must have: all eight corners within 1e-3 mm. An image that
        carries no size need only have the scan's shape, and takes its grid.
    resample
        Bring a mask with another grid onto that of `like`, by its nearest voxel.
    instances
        True: numbers tell single objects, and all become class 1. False: they are classes. None:
        a single image with more than ten labels, nearly all of them in one piece each, holds
        instances.

    Raises
    ------
    ScanError
        If the file cannot be read, or holds colours, fractions or negative values.
    GeometryError
        If the grid is not that of `like`, and was not to be resampled.
    """
    volume = read_as_stored(path)
    if volume.channels != 1:
        raise ScanError(f"{path} is in colour, but a mask holds one label per voxel")
    with refusing(path, "mask"):
        labels = as_labels(volume.array)
        remarks: tuple[str, ...] = ()
        if instances or (instances is None and volume.is_image and _holds_instances(labels)):
            remarks = (f"{labels.max()} numbered objects were taken as class 1",)
            labels = np.asarray(labels > 0, dtype=np.uint8)
    if like is None or _same_grid(volume, like):
        geometry = like.geometry if like is not None and volume.is_image else volume.geometry
        return Mask(labels, geometry, remarks)
    if not resample or volume.is_image or like.is_image:
        raise GeometryError(_difference(path, volume, like))
    moved = resampled(labels, volume.geometry, like.geometry, like.shape)
    told = "the mask was resampled onto the scan's grid, each voxel from the nearest"
    return Mask(moved, like.geometry, (*remarks, told))


def resampled(
    labels: Array, geometry: Geometry, onto: Geometry, shape: tuple[int, int, int]
) -> Array:
    """Return labels on another grid: of the nearest voxel, and 0 outside.

    Parameters
    ----------
    labels
        (Z, Y, X) on the grid `geometry`.
    onto, shape
        The grid wanted; both grids may be oblique or sheared.
    """
    to_index = np.linalg.inv(geometry.affine) @ onto.affine
    out = np.zeros(shape, dtype=labels.dtype)
    rows, columns = np.indices(shape[1:], dtype=np.float64)
    within = to_index[:3, 1, None, None] * rows + to_index[:3, 2, None, None] * columns
    ends = np.array(labels.shape)[:, None, None]
    for z, target in enumerate(out):
        # Halves go upwards, whatever the parity: the voxel that a point lies in, edges included.
        start = (to_index[:3, 0] * z + to_index[:3, 3])[:, None, None]
        nearest = np.floor(within + start + 0.5 + 1e-9).astype(np.int64)
        inside = ((nearest >= 0) & (nearest < ends)).all(axis=0)
        target[inside] = labels[tuple(nearest[:, inside])]
    return out


def _same_grid(mask: Volume, like: Volume) -> bool:
    if mask.shape != like.shape:
        return False
    return mask.is_image or mask.geometry.coincides(like.geometry, like.shape)


def _difference(path: str | Path, mask: Volume, like: Volume) -> str:
    if mask.shape != like.shape:
        fault = f"{path} has {mask.shape} voxels, but the scan has {like.shape}"
    else:
        distance = mask.geometry.corner_distance(like.geometry, like.shape)
        fault = f"{path} lies up to {distance:.3g} mm away from the scan's grid"
    if mask.is_image or like.is_image:
        return fault
    return f"{fault}: resample it onto that grid first"


def _holds_instances(labels: NDArray[np.unsignedinteger]) -> bool:
    """Whether these are more labels than classes, and nearly each of them in one piece."""
    from scipy import ndimage

    if labels.shape[0] != 1 or labels.max() <= _MORE_THAN_CLASSES:
        return False
    boxes = ndimage.find_objects(labels.astype(np.int32)[0])
    pieces = [
        ndimage.label(labels[0][box] == number, np.ones((3, 3)))[1]
        for number, box in enumerate(boxes, start=1)
        if box is not None
    ]
    whole = sum(count == 1 for count in pieces)
    return len(pieces) > _MORE_THAN_CLASSES and whole >= _SHARE_IN_ONE_PIECE * len(pieces)
