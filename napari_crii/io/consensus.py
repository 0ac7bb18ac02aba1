"""The consensus of several readers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# One reader's labels tell nothing about how reliable he is where both classes hardly occur.
_MOST_ITERATIONS = 200


def staple(masks: Sequence[NDArray[Any]], classes: Sequence[int]) -> NDArray[np.integer]:
    """Estimate the true labels behind several readings (multi-label STAPLE).

    Warfield et al., IEEE Transactions on Medical Imaging 2004, as SimpleITK computes it. Where
    it cannot decide, the first reading stands.

    Parameters
    ----------
    masks
        At least two label masks of one shape.
    classes
        The labels that may occur, without the background.

    Returns
    -------
    NDArray
        Labels of that shape, uint16.

    Raises
    ------
    ValueError
        If there are fewer than two masks, or their shapes differ.
    """
    if len(masks) < 2 or len({mask.shape for mask in masks}) != 1:
        raise ValueError("a consensus needs two or more masks of one shape")
    import SimpleITK as sitk

    # Numbered anew without gaps: the filter keeps a table over all labels up to the largest.
    known = np.array([0, *sorted(classes)])
    numbered = [np.searchsorted(known, mask).astype(np.uint16) for mask in masks]
    if not any(mask.any() for mask in numbered):
        return np.zeros(masks[0].shape, dtype=np.uint16)
    undecided = len(known)
    pictures = [sitk.GetImageFromArray(np.atleast_3d(mask)) for mask in numbered]
    merger = sitk.MultiLabelSTAPLEImageFilter()
    merger.SetLabelForUndecidedPixels(undecided)
    merger.SetMaximumNumberOfIterations(_MOST_ITERATIONS)
    found = sitk.GetArrayFromImage(merger.Execute(pictures)).reshape(masks[0].shape)
    found = np.where(found == undecided, numbered[0], found)
    return np.asarray(known[found], dtype=np.uint16)
