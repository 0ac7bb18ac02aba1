"""One scan under work: its human mask, its proposals, and the acts of the human."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_crii.patches import Box, Patch
from napari_crii.session.correction import (
    Act,
    Correction,
    Provenance,
    SliceState,
    SliceStatus,
)
from napari_crii.session.history import History
from napari_crii.session.human_mask import HumanMask
from napari_crii.session.proposals import Proposal, ProposalStore
from napari_crii.volume import Volume, from_slices

__all__ = ["Case", "Proposal"]


class Case:
    """A scan with what humans said about it and what the network proposes.

    Every array has the slice axis first: (S, H, W).

    Parameters
    ----------
    volume
        The scan.
    classes
        Number of classes, background included.
    reader
        Who corrects.
    """

    def __init__(self, volume: Volume, classes: int, reader: str = "") -> None:
        shape = volume.slices().shape
        self.volume = volume
        self.shape = (shape[0], shape[1], shape[2])
        self.classes = classes
        self.reader = reader
        self.human = HumanMask(self.shape, classes)
        self.proposals = ProposalStore(self.shape, classes)
        self._history = History()

    @property
    def corrections(self) -> tuple[Correction, ...]:
        """What the human did and did not take back, oldest first."""
        return self._history.corrections

    def last_on(self, index: int) -> Correction | None:
        """Return the last correction on slice `index`, or None."""
        return next((c for c in reversed(self.corrections) if c.slice == index), None)

    def status(self, index: int) -> SliceStatus:
        """Return how far the human has come with slice `index`."""
        return self.human.status(index)

    def slices_with(self, *statuses: SliceStatus) -> list[int]:
        """Return the slices that have one of these statuses, in order."""
        return [i for i in range(self.shape[0]) if self.status(i) in statuses]

    def publish(self, proposal: Proposal) -> bool:
        """Take a proposal of the network; refuse it (False) on a slice that a human touched."""
        if self.status(proposal.slice) is not SliceStatus.UNTOUCHED:
            return False
        self.proposals.put(proposal)
        return True

    def take(self, index: int) -> Correction | None:
        """Make the proposal of a slice the starting point of the human's work on it.

        Nothing is confirmed by that: the voxels stay `UNTOUCHED`. From here on the network no
        longer changes what is shown on this slice. None if the human has begun already.
        """
        if self.status(index) is not SliceStatus.UNTOUCHED:
            return None
        return self._act(
            Act.TAKE,
            index,
            self._whole(),
            self.proposals.labels[index].copy(),
            np.full(self.shape[1:], Provenance.UNTOUCHED, dtype=np.uint8),
            SliceStatus.EDITED,
        )

    def draw(self, index: int, labels: NDArray[np.integer]) -> Correction | None:
        """Take a slice (H, W) as the human left it; what differs is drawn. None: nothing does.

        Raises
        ------
        ValueError
            If the shape is not that of a slice, or a label is not a class.
        """
        self._require(labels)
        changed: NDArray[np.bool_] = labels != self.shown(index)
        if not changed.any():
            return None
        self.take(index)
        box = bounding_box(changed)
        where = box.slices
        provenance = self.human.provenance[index][where].copy()
        provenance[changed[where]] = Provenance.DRAWN
        return self._act(Act.DRAW, index, box, labels[where], provenance, SliceStatus.EDITED)

    def accept_patch(self, patch: Patch) -> Correction:
        """Confirm what stands inside a patch: the human's work, else the proposal."""
        self.take(patch.slice)
        status = self.status(patch.slice)
        return self._confirm(Act.ACCEPT_PATCH, patch.slice, patch.box, status)

    def accept_slice(self, index: int) -> Correction:
        """Confirm a whole slice, background included: the human's work, else the proposal."""
        self.take(index)
        return self._confirm(Act.ACCEPT_SLICE, index, self._whole(), SliceStatus.ACCEPTED)

    def seed(self, index: int, labels: NDArray[np.integer]) -> Correction:
        """Enter an expert's finished mask (H, W) of a slice.

        Raises
        ------
        ValueError
            If the shape is not that of a slice, or a label is not a class.
        """
        self._require(labels)
        provenance = np.full(self.shape[1:], Provenance.SEED, dtype=np.uint8)
        return self._act(Act.SEED, index, self._whole(), labels, provenance, SliceStatus.ACCEPTED)

    def undo(self) -> Correction | None:
        """Take the last act back and return it; None if there is none.

        Taking a proposal as the starting point is no act of its own: with the first act on a
        slice it is taken back too, and the slice is the network's again.
        """
        group = self._history.undo()
        for correction in reversed(group):
            self.human.revert(correction)
        return group[-1] if group else None

    def redo(self) -> Correction | None:
        """Do again what was last undone and return it; None if there is nothing."""
        group = self._history.redo()
        for correction in group:
            self.human.apply(correction)
        return group[-1] if group else None

    def shown(self, index: int) -> NDArray[np.integer]:
        """Return a slice (H, W) as it stands: the human's where one has begun, else proposed."""
        untouched = self.status(index) is SliceStatus.UNTOUCHED
        labels: NDArray[np.integer] = (self.proposals if untouched else self.human).labels[index]
        return labels

    def mask(self, include_proposals: bool) -> NDArray[np.integer]:
        """Return the mask in the scan's own axis order, (Z, Y, X).

        Parameters
        ----------
        include_proposals
            Whether slices that no human touched carry their proposal, or stay empty.
        """
        result = self.human.labels.copy()
        if include_proposals:
            for index in self.slices_with(SliceStatus.UNTOUCHED):
                result[index] = self.proposals.labels[index]
        return np.ascontiguousarray(from_slices(result, self.volume.slice_axis))

    def _require(self, labels: NDArray[np.integer]) -> None:
        if labels.shape != self.shape[1:]:
            raise ValueError(f"a slice has shape {self.shape[1:]}, not {labels.shape}")
        if labels.size and not 0 <= int(labels.min()) <= int(labels.max()) < self.classes:
            raise ValueError(f"labels {labels.min()} to {labels.max()} are not all classes")

    def _whole(self) -> Box:
        return Box(0, 0, self.shape[1], self.shape[2])

    def _confirm(self, act: Act, index: int, box: Box, status: SliceStatus) -> Correction:
        """Raise the provenance inside `box`; what was drawn or seeded keeps its origin."""
        current = self.human.state(index, box)
        provenance = np.where(
            current.provenance == Provenance.UNTOUCHED, Provenance.ACCEPTED, current.provenance
        ).astype(np.uint8)
        return self._act(act, index, box, current.labels, provenance, status)

    def _act(
        self,
        act: Act,
        index: int,
        box: Box,
        labels: NDArray[np.integer],
        provenance: NDArray[np.uint8],
        status: SliceStatus,
    ) -> Correction:
        """Make a correction, apply it, remember it."""
        after = SliceState(labels.astype(self.human.labels.dtype), provenance, status)
        correction = Correction(
            act, index, box, self.human.state(index, box), after, reader=self.reader
        )
        self.human.apply(correction)
        self._history.add(correction)
        return correction


def bounding_box(changed: NDArray[np.bool_]) -> Box:
    """Return the smallest box that holds every True of (H, W); there is at least one."""
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    return Box(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)
