"""The human mask, and the one choke-point through which it changes."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from napari_crii.errors import LockedError
from napari_crii.patches import Box
from napari_crii.session.correction import Act, Correction, SliceState, SliceStatus


class HumanMask:
    """What a human said about every voxel of a scan, slices first.

    Arrays are handed out read-only. `apply` and `revert` are the only writers (and `load`, once,
    when a project is opened). They take corrections, which only human acts produce, and refuse

    - a correction that does not start from what stands there;
    - a `TAKE`, which carries the network's word, where anybody vouches for a voxel;
    - any correction that adds or removes voxels of a locked class.
    """

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        kind = np.uint8 if classes <= 256 else np.uint16
        self._labels: NDArray[np.integer] = np.zeros(shape, dtype=kind)
        self._provenance: NDArray[np.uint8] = np.zeros(shape, dtype=np.uint8)
        # Of the slices that were touched: few of many, and asked for with every stroke.
        self._status: dict[int, SliceStatus] = {}
        self._locked: frozenset[int] = frozenset()
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

    @property
    def whole(self) -> Box:
        """The box of a whole slice."""
        return Box(0, 0, *self._labels.shape[1:])

    @property
    def locked(self) -> frozenset[int]:
        """Classes whose voxels nobody may add or remove, not even a human."""
        return self._locked

    def lock(self, classes: Iterable[int]) -> None:
        """Lock these classes and no others."""
        self._locked = frozenset(classes)

    def status(self, index: int) -> SliceStatus:
        """Return how far a human has come with slice `index`."""
        if not 0 <= index < len(self._labels):
            raise IndexError(f"there is no slice {index}: there are {len(self._labels)}")
        return self._status.get(index, SliceStatus.UNTOUCHED)

    def slices_with(self, *statuses: SliceStatus) -> list[int]:
        """Return the slices that have one of these statuses, in order."""
        untouched = SliceStatus.UNTOUCHED in statuses
        slices = range(len(self._labels)) if untouched else sorted(self._status)
        return [i for i in slices if self._status.get(i, SliceStatus.UNTOUCHED) in statuses]

    def state(self, index: int, box: Box) -> SliceState:
        """Return a copy of what stands inside `box` of slice `index`."""
        where = (index, *box.slices)
        return SliceState(
            self._labels[where].copy(), self._provenance[where].copy(), self.status(index)
        )

    def load(self, index: int, state: SliceState) -> None:
        """Put a whole slice into a recorded state, before any human works on it."""
        self._write(index, self.whole, state)

    def apply(self, correction: Correction) -> None:
        """Write a correction.

        Raises
        ------
        ValueError
            If the mask is not in the state from which the correction starts, or the correction
            puts the network's word over a human's.
        LockedError
            If it changes voxels of a locked class.
        """
        before, after = correction.states()
        self._exchange(correction, before, after)

    def revert(self, correction: Correction) -> None:
        """Take a correction back.

        Raises
        ------
        ValueError
            If the mask is not in the state that the correction left.
        LockedError
            If that changes voxels of a locked class.
        """
        before, after = correction.states()
        self._exchange(correction, after, before)

    def require_unlocked(self, corrections: Iterable[Correction]) -> None:
        """Raise `LockedError` if one of these corrections changes voxels of a locked class."""
        for correction in corrections if self._locked else ():
            before, after = correction.states()
            _refuse_locked(correction, before, after, self._locked)

    def require_kept(self, index: int, labels: NDArray[np.integer]) -> None:
        """Raise `LockedError` if slice `index` could not become `labels` (H, W) for a lock."""
        if self._locked:
            _refuse_change(index, self._labels[index], labels, self._locked)

    def _exchange(self, correction: Correction, old: SliceState, new: SliceState) -> None:
        where = (correction.slice, *correction.box.slices)
        same = (
            self.status(correction.slice) is old.status
            and np.array_equal(self._labels[where], old.labels)
            and np.array_equal(self._provenance[where], old.provenance)
        )
        if not same:
            raise ValueError(f"slice {correction.slice} is not in the state the correction expects")
        if correction.act is Act.TAKE and (old.provenance.any() or new.provenance.any()):
            raise ValueError(f"on slice {correction.slice} a human vouches for voxels already")
        _refuse_locked(correction, old, new, self._locked)
        self._write(correction.slice, correction.box, new)

    def _write(self, index: int, box: Box, new: SliceState) -> None:
        where = (index, *box.slices)
        for array, values in ((self._labels, new.labels), (self._provenance, new.provenance)):
            array.flags.writeable = True
            try:
                array[where] = values
            finally:
                array.flags.writeable = False
        self._status[index] = new.status


def _refuse_locked(
    correction: Correction, old: SliceState, new: SliceState, locked: frozenset[int]
) -> None:
    """Raise `LockedError`; but taking a proposal changes nothing that is seen: it may."""
    if locked and correction.act is not Act.TAKE:
        _refuse_change(correction.slice, old.labels, new.labels, locked)


def _refuse_change(
    index: int, old: NDArray[np.integer], new: NDArray[np.integer], locked: frozenset[int]
) -> None:
    changed = old != new
    touched = np.union1d(old[changed], new[changed])
    refused = sorted(locked.intersection(touched.tolist()))
    if refused:
        raise LockedError(
            f"class {refused[0]} is locked, and this changes it on slice {index + 1}: "
            "unlock it first"
        )
