"""The human mask, and the one choke-point through which it changes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_crii.patches import Box
from napari_crii.session.correction import Correction, SliceState, SliceStatus


class HumanMask:
    """What a human said about every voxel of a scan, slices first.

    Arrays are handed out read-only. `apply` and `revert` are the only writers; they take
    corrections, which only human acts produce. Proposals of the network live elsewhere.
    """

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        kind = np.uint8 if classes <= 256 else np.uint16
        self._labels: NDArray[np.integer] = np.zeros(shape, dtype=kind)
        self._provenance: NDArray[np.uint8] = np.zeros(shape, dtype=np.uint8)
        self._status = [SliceStatus.UNTOUCHED] * shape[0]
        self._labels.flags.writeable = False
        self._provenance.flags.writeable = False

    @property
    def labels(self) -> NDArray[np.integer]:
        """(S, H, W) class indices, read-only; only meaningful on slices that were touched."""
        return self._labels

    @property
    def provenance(self) -> NDArray[np.uint8]:
        """(S, H, W) values of `Provenance`, read-only."""
        return self._provenance

    def status(self, index: int) -> SliceStatus:
        """Return how far a human has come with slice `index`."""
        return self._status[index]

    def state(self, index: int, box: Box) -> SliceState:
        """Return a copy of what stands inside `box` of slice `index`."""
        where = (index, *box.slices)
        return SliceState(
            self._labels[where].copy(), self._provenance[where].copy(), self._status[index]
        )

    def apply(self, correction: Correction) -> None:
        """Write a correction.

        Raises
        ------
        ValueError
            If the mask is not in the state from which the correction starts.
        """
        self._exchange(correction, correction.before, correction.after)

    def revert(self, correction: Correction) -> None:
        """Take a correction back.

        Raises
        ------
        ValueError
            If the mask is not in the state that the correction left.
        """
        self._exchange(correction, correction.after, correction.before)

    def _exchange(self, correction: Correction, old: SliceState, new: SliceState) -> None:
        where = (correction.slice, *correction.box.slices)
        same = (
            self._status[correction.slice] is old.status
            and np.array_equal(self._labels[where], old.labels)
            and np.array_equal(self._provenance[where], old.provenance)
        )
        if not same:
            raise ValueError(f"slice {correction.slice} is not in the state the correction expects")
        for array, values in ((self._labels, new.labels), (self._provenance, new.provenance)):
            array.flags.writeable = True
            try:
                array[where] = values
            finally:
                array.flags.writeable = False
        self._status[correction.slice] = new.status
