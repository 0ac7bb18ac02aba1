"""How well two masks agree: Dice, normalised surface Dice and the 95th-percentile Hausdorff.

Conventions, chosen so that no value is ever NaN:

====================  ======  ======  ==============
masks                 Dice    NSD     HD95 (mm)
====================  ======  ======  ==============
both empty            1       1       0
exactly one empty     0       0       infinite
====================  ======  ======  ==============

The boundary of a mask is the set of its voxels with a background voxel among their face
neighbours; everything outside the array counts as background. Distances are Euclidean, in mm,
between centres of boundary voxels; each boundary voxel counts once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

DEFAULT_TOLERANCE_MM = 2.0

Mask = NDArray[Any]
Distances = NDArray[np.float64]


@dataclass(frozen=True)
class Scores:
    """Agreement of two masks in one class.

    Attributes
    ----------
    dice, nsd
        0 to 1, higher is better.
    hd95
        In mm, lower is better; infinite where exactly one mask is empty.
    """

    dice: float
    nsd: float
    hd95: float


def dice(a: Mask, b: Mask) -> float:
    """Return the overlap ``2 |A and B| / (|A| + |B|)`` of two binary masks of any one shape.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    a, b = _binary(a, b)
    total = np.count_nonzero(a) + np.count_nonzero(b)
    return 1.0 if total == 0 else 2.0 * np.count_nonzero(a & b) / total


def surface_distances(a: Mask, b: Mask, spacing: Sequence[float]) -> tuple[Distances, Distances]:
    """Return how far each boundary voxel of one mask is from the other mask's boundary.

    Parameters
    ----------
    a, b
        Binary masks of one shape, any number of axes.
    spacing
        Voxel size in mm, one number per axis, in array order.

    Returns
    -------
    from_a, from_b
        One distance in mm per boundary voxel; all infinite where the other mask is empty.

    Raises
    ------
    ValueError
        If shapes or the number of axes differ.
    """
    a, b = _binary(a, b)
    if len(spacing) != a.ndim:
        raise ValueError(f"masks of {a.ndim} axes need as many spacings, not {len(spacing)}")
    # Nothing outside both masks matters: the crop makes distance maps cheap.
    box = _bounding_box(a | b)
    edge_a, edge_b = _boundary(a[box]), _boundary(b[box])
    return _distances(edge_a, edge_b, spacing), _distances(edge_b, edge_a, spacing)


def nsd(
    a: Mask, b: Mask, spacing: Sequence[float], tolerance_mm: float = DEFAULT_TOLERANCE_MM
) -> float:
    """Return the share of both boundaries that lies within `tolerance_mm` of the other one.

    Normalised surface Dice (Nikolov et al., J Med Internet Res 2021), counting boundary voxels;
    parameters as in :func:`surface_distances`.
    """
    from_a, from_b = surface_distances(a, b, spacing)
    return _nsd(from_a, from_b, tolerance_mm)


def hd95(a: Mask, b: Mask, spacing: Sequence[float]) -> float:
    """Return the larger of the two directed 95th-percentile surface distances, in mm.

    The robust Hausdorff distance as Maier-Hein et al. (Nature Methods 2024) define it;
    parameters as in :func:`surface_distances`.
    """
    return _hd95(*surface_distances(a, b, spacing))


def evaluate(
    prediction: Mask,
    reference: Mask,
    spacing: Sequence[float],
    classes: Iterable[int],
    tolerance_mm: float = DEFAULT_TOLERANCE_MM,
) -> dict[int, Scores]:
    """Score each class of a label mask against a reference.

    Parameters
    ----------
    prediction, reference
        Integer labels of one shape.
    spacing
        Voxel size in mm, one number per axis, in array order.
    classes
        The labels to score, without the background.
    tolerance_mm
        Of the normalised surface Dice.

    Raises
    ------
    ValueError
        If shapes or the number of axes differ.
    """
    scores = {}
    for label in classes:
        a, b = prediction == label, reference == label
        from_a, from_b = surface_distances(a, b, spacing)
        scores[label] = Scores(
            dice(a, b), _nsd(from_a, from_b, tolerance_mm), _hd95(from_a, from_b)
        )
    return scores


def _binary(a: Mask, b: Mask) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    if a.shape != b.shape:
        raise ValueError(f"masks of shapes {a.shape} and {b.shape} cannot be compared")
    return np.asarray(a, dtype=bool), np.asarray(b, dtype=bool)


def _bounding_box(mask: NDArray[np.bool_]) -> tuple[slice, ...]:
    found = ndimage.find_objects(mask.astype(np.uint8))
    return tuple(found[0]) if found else tuple(slice(0) for _ in mask.shape)


def _boundary(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.asarray(mask & ~ndimage.binary_erosion(mask))


def _distances(
    edge: NDArray[np.bool_], other: NDArray[np.bool_], spacing: Sequence[float]
) -> Distances:
    if not other.any():
        return np.full(np.count_nonzero(edge), np.inf)
    return np.asarray(ndimage.distance_transform_edt(~other, sampling=spacing)[edge])


def _nsd(from_a: Distances, from_b: Distances, tolerance_mm: float) -> float:
    total = from_a.size + from_b.size
    near = np.count_nonzero(from_a <= tolerance_mm) + np.count_nonzero(from_b <= tolerance_mm)
    return 1.0 if total == 0 else near / total


def _hd95(from_a: Distances, from_b: Distances) -> float:
    if from_a.size == 0 and from_b.size == 0:
        return 0.0
    if from_a.size == 0 or from_b.size == 0:
        return float(np.inf)
    return float(max(np.percentile(from_a, 95), np.percentile(from_b, 95)))
