"""A mask that was finished elsewhere, brought to the grid and the classes of a scan."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_crii.errors import GeometryError, ScanError
from napari_crii.geometry import Geometry
from napari_crii.io import read_mask
from napari_crii.io.mask import resampled as onto_grid
from napari_crii.volume import Volume, to_slices

Labels = NDArray[np.unsignedinteger]
_NAMED_LABELS = 8


@dataclass(frozen=True, eq=False)
class MaskFile:
    """A mask as its file has it.

    Attributes
    ----------
    name
        Of the file.
    labels
        (Z, Y, X), on its own grid.
    grid
        Where that lies.
    mismatch
        Why the grid is not the scan's, in one sentence; empty where it is.
    """

    name: str
    labels: Labels
    grid: Geometry
    mismatch: str = ""

    @cached_property
    def values(self) -> tuple[int, ...]:
        """The labels it holds, background left out."""
        return tuple(int(value) for value in np.unique(self.labels) if value)


def read_mask_file(path: str | Path, scan: Volume) -> MaskFile:
    """Read a mask for a scan, and say whether its grid is the scan's.

    Raises
    ------
    ScanError
        If the file cannot be read, or is no mask.
    GeometryError
        If the grids differ and one of them is not known, so that nothing can be resampled.
    """
    name = Path(path).name
    try:
        # Numbers that are no classes are asked about, so none is taken for one object here.
        labels, grid = read_mask(path, like=scan, instances=False)
    except GeometryError:
        labels, grid = read_mask(path, instances=False)
        if "px" in (grid.unit, scan.geometry.unit):
            raise
        return MaskFile(name, labels, grid, _mismatch(name, labels, grid, scan))
    return MaskFile(name, labels, grid)


def _mismatch(name: str, labels: Labels, grid: Geometry, scan: Volume) -> str:
    if labels.shape != scan.shape:
        voxels, wanted = (" x ".join(map(str, shape)) for shape in (labels.shape, scan.shape))
        return f"{name} has {voxels} voxels, but the scan has {wanted}"
    distance = grid.corner_distance(scan.geometry, scan.shape)
    return f"{name} lies up to {distance:.3g} mm away from the scan's grid"


def resampled(mask: MaskFile, scan: Volume) -> MaskFile:
    """Return a mask on the scan's grid: each voxel takes the label nearest to its centre.

    Voxels whose centre lies outside the mask's own grid are background.

    Raises
    ------
    GeometryError
        If no label comes to lie inside the scan.
    """
    result = onto_grid(mask.labels, mask.grid, scan.geometry, scan.shape)
    if mask.labels.any() and not result.any():
        raise GeometryError(f"{mask.name} has no label inside the scan: it lies elsewhere")
    return MaskFile(mask.name, result, scan.geometry)


def fits_classes(mask: MaskFile, classes: int) -> bool:
    """Whether every label is one of `classes`, background included."""
    return all(value < classes for value in mask.values)


def with_labels_as_one(mask: MaskFile, chosen: Collection[int]) -> MaskFile:
    """Return a mask in which the chosen labels are class 1 and all else is background."""
    labels = np.isin(mask.labels, list(chosen)).astype(np.uint8)
    return MaskFile(mask.name, labels, mask.grid, mask.mismatch)


def slices_of(mask: MaskFile, scan: Volume, classes: int) -> dict[int, Labels]:
    """Return the slices (H, W) of a mask that hold a label, by their index.

    Slices without one are left out: in a mask with few labelled slices they say nothing.

    Raises
    ------
    ScanError
        If the mask is empty, or a label is not a class.
    """
    if not mask.values:
        raise ScanError(f"{mask.name} is empty: no slice of it holds a label")
    if not fits_classes(mask, classes):
        raise ScanError(f"{mask.name} holds {named(mask.values)}, but classes end at {classes - 1}")
    slices = to_slices(mask.labels, scan.slice_axis)
    return {index: labels for index, labels in enumerate(slices) if labels.any()}


def named(values: Collection[int]) -> str:
    """Put labels into words, the first few of many."""
    listed = ", ".join(str(value) for value in list(values)[:_NAMED_LABELS])
    more = len(values) - _NAMED_LABELS
    return f"label{'s' if len(values) > 1 else ''} {listed}" + (f" and {more} more" * (more > 0))
