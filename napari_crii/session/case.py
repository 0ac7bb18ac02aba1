"""One scan under work: its human mask, its proposals, and the acts of the human."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_crii.errors import ReadOnlyError
from napari_crii.patches import Patch
from napari_crii.session import acts
from napari_crii.session.correction import Act, Correction, SliceStatus
from napari_crii.session.events import (
    Acted,
    CaseEvent,
    Flagged,
    Learned,
    Locked,
    Looked,
    Proposed,
    Redone,
    Undone,
)
from napari_crii.session.history import LIMIT_BYTES, Group
from napari_crii.session.proposals import Proposal, ProposalStore
from napari_crii.session.reading import Reading
from napari_crii.session.telling import Teller
from napari_crii.volume import Volume, from_slices

__all__ = ["Case", "Proposal"]


class Case:
    """A scan with what humans said about it and what the network proposes.

    Every array has the slice axis first: (S, H, W). Acts of the human raise `ReadOnlyError`
    where nothing may be changed.

    Parameters
    ----------
    volume
        The scan.
    classes
        Number of label values, background included: one more than the largest class.
    reader
        Who corrects.
    limit
        Bytes that undo and redo may hold.

    Attributes
    ----------
    patient
        Whose scan it is, as a pseudonym; the scan's digest where nobody said.
    validation
        Whether the network is judged by this case and never learns from it.
    work
        The mask, its history and its notes; `human` and `notes` are shorthands.
    read_only
        A sentence that says why nothing may be changed, or ``""``.
    """

    def __init__(
        self, volume: Volume, classes: int, reader: str = "", limit: int = LIMIT_BYTES
    ) -> None:
        shape = volume.slices().shape
        self.volume = volume
        self.shape = (shape[0], shape[1], shape[2])
        self.classes = classes
        self.reader = reader
        self.patient = ""
        self.validation = False
        self.read_only = ""
        self.work = Reading.new(self.shape, classes, limit)
        self.human = self.work.human
        self.notes = self.work.notes
        self.proposals = ProposalStore(self.shape, classes)
        self._history = self.work.history
        self._teller = Teller()

    def listen(self, listener: Callable[..., None]) -> None:
        """Tell every event from now on to `listener`, those of one act in one call."""
        self._teller.listener = listener

    @property
    def corrections(self) -> tuple[Correction, ...]:
        """What the human did and did not take back, oldest first."""
        return self._history.corrections

    @property
    def last(self) -> Correction | None:
        """The last of them: with it, all of them are the same."""
        return self._history.last

    def last_number_on(self, index: int) -> int | None:
        """Return the number of the last correction on slice `index`, or None."""
        return self._history.last_number_on(index)

    def status(self, index: int) -> SliceStatus:
        """Return how far the human has come with slice `index`."""
        return self.human.status(index)

    def slices_with(self, *statuses: SliceStatus) -> list[int]:
        """Return the slices that have one of these statuses, in order."""
        return self.work.slices_with(*statuses)

    def publish(self, proposal: Proposal) -> bool:
        """Take a proposal of the network; refuse it (False) on a slice that a human touched."""
        if self.status(proposal.slice) is not SliceStatus.UNTOUCHED:
            return False
        self.proposals.put(proposal)
        known = self.notes.checkpoints.get(proposal.slice)
        if not self.read_only and proposal.checkpoint != known:
            self.note(Proposed(proposal.slice, proposal.checkpoint))
        return True

    def take(self, index: int) -> Correction | None:
        """Make the proposal of a slice the starting point of the human's work on it.

        Nothing is confirmed by that: the voxels stay `UNTOUCHED`. From here on the network no
        longer changes what is shown on this slice. None if the human has begun already.
        """
        return self._take(index)

    def draw(self, index: int, labels: NDArray[np.integer]) -> Correction | None:
        """Take a slice (H, W) as the human left it; what differs is drawn. None: nothing does.

        Voxels of a locked class stay, and none are added to it.

        Raises
        ------
        ValueError
            If the shape is not that of a slice, or a label is not a class.
        ReadOnlyError
            If the project is open for reading only.
        """
        self._require(labels)
        with self._teller.one_act():
            return self._draw(index, labels, joined=False)

    def draw_slices(self, slices: Mapping[int, NDArray[np.integer]]) -> tuple[Correction, ...]:
        """Take several slices as the human left them: one act, undone at once; as `draw`."""
        for labels in slices.values():
            self._require(labels)
        drawn: list[Correction] = []
        with self._teller.one_act():
            for index, labels in slices.items():
                correction = self._draw(index, labels, joined=bool(drawn))
                drawn += [] if correction is None else [correction]
        return tuple(drawn)

    def accept_patch(self, patch: Patch) -> Correction:
        """Confirm what stands inside a patch: the human's work, else the proposal."""
        with self._teller.one_act():
            self.take(patch.slice)
            status = self.status(patch.slice)
            return self._act(
                acts.confirmed(self.human, Act.ACCEPT_PATCH, patch.slice, patch.box, status)
            )

    def accept_slice(self, index: int) -> Correction:
        """Confirm a whole slice, background included: the human's work, else the proposal."""
        with self._teller.one_act():
            self.take(index)
            whole, status = self.human.whole, SliceStatus.ACCEPTED
            return self._act(acts.confirmed(self.human, Act.ACCEPT_SLICE, index, whole, status))

    def reject_patch(self, patch: Patch) -> Correction:
        """Throw away what the network says inside a patch: background stands there instead.

        Nobody vouches for that. Vouched voxels and those of locked classes stay.
        """
        with self._teller.one_act():
            self.take(patch.slice)
            where = patch.slice, patch.box
            return self._act(acts.rejected(self.human, Act.REJECT_PATCH, *where))

    def reject_slice(self, index: int) -> Correction:
        """Throw away what the network says on a whole slice, as `reject_patch`."""
        with self._teller.one_act():
            self.take(index)
            where = index, self.human.whole
            return self._act(acts.rejected(self.human, Act.REJECT_SLICE, *where))

    def seed(self, index: int, labels: NDArray[np.integer]) -> Correction:
        """Enter an expert's finished mask (H, W) of a slice; as `seed_slices`."""
        return self.seed_slices({index: labels})[0]

    def seed_slices(self, slices: Mapping[int, NDArray[np.integer]]) -> Group:
        """Enter finished masks (H, W) of slices: one act, undone at once; all, or an error.

        Raises
        ------
        ValueError
            If a shape is not that of a slice, or a label is not a class.
        LockedError
            If it would add or remove voxels of a locked class.
        """
        for index, labels in slices.items():
            self._require(labels)
            self.human.require_kept(index, labels)
        seeded: Group = ()
        with self._teller.one_act():
            for index, labels in slices.items():
                seeded += (self._act(acts.seeded(self.human, index, labels), bool(seeded)),)
        return seeded

    def undo(self) -> Correction | None:
        """Take the last act back and return its last correction; None if there is none.

        Taking a proposal as the starting point is no act of its own: with the first act on a
        slice it is taken back too, and the slice is the network's again.

        Raises
        ------
        LockedError
            If that changes voxels of a locked class; nothing is taken back.
        """
        group = self.undo_act()
        return group[-1] if group else None

    def redo(self) -> Correction | None:
        """Do again what was last undone, as `undo`; None if there is nothing."""
        group = self.redo_act()
        return group[-1] if group else None

    def undo_act(self) -> Group:
        """Take the last act back, as `undo`; return all its corrections, on all its slices."""
        self._require_writable()
        self.human.require_unlocked(self._history.to_undo)
        group = self._history.undo()
        for correction in reversed(group):
            self.human.revert(correction)
        self._changed(Undone(), group)
        return group

    def redo_act(self) -> Group:
        """Do again what was last undone, as `redo`; return all its corrections."""
        self._require_writable()
        self.human.require_unlocked(self._history.to_redo)
        group = self._history.redo()
        for correction in group:
            self.human.apply(correction)
        self._changed(Redone(), group)
        return group

    def lock(self, classes: Iterable[int]) -> None:
        """Lock these classes and no others: nobody adds or removes voxels of them."""
        self._require_writable()
        self.human.lock(classes)
        self._teller.tell(Locked(tuple(sorted(self.human.locked))))

    def flag(self, index: int, flagged: bool = True, note: str = "") -> None:
        """Put a flag on a slice, or take it off; flags are no part of undo."""
        self.note(Flagged(index, flagged, note))

    def look(self, slices: Iterable[int], seconds: float) -> None:
        """Note that a human had these slices on display, for so many seconds in all."""
        if not self.read_only:
            self.note(Looked(tuple(slices), seconds))

    def mark_learned(self, numbers: Iterable[int]) -> None:
        """Note that the network has learnt from these corrections."""
        fresh = tuple(sorted(set(numbers) - self.notes.learned))
        if fresh and not self.read_only:
            self.note(Learned(fresh))

    def note(self, event: CaseEvent) -> None:
        """Take in what changes no voxel, and tell it."""
        self._require_writable()
        self.notes.take_in(event)
        self._teller.tell(event)

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
        least, largest = (int(labels.min()), int(labels.max())) if labels.size else (0, 0)
        if not 0 <= least <= largest < self.classes:
            raise ValueError(f"labels {least} to {largest} are not all classes")

    def _draw(self, index: int, labels: NDArray[np.integer], joined: bool) -> Correction | None:
        change = acts.drawn(self.human, index, self.shown(index), labels)
        if change is None:
            return None
        joined = self._take(index, joined) is not None or joined
        return self._act(change, joined)

    def _take(self, index: int, joined: bool = False) -> Correction | None:
        if self.status(index) is not SliceStatus.UNTOUCHED:
            return None
        return self._act(acts.taken(self.human, index, self.proposals.labels[index]), joined)

    def _act(self, change: acts.Change, joined: bool = False) -> Correction:
        """Make a correction, apply it, remember it, tell it."""
        self._require_writable()
        labels = change.after.labels.astype(self.human.labels.dtype)
        correction = Correction.between(
            change.act,
            change.slice,
            change.box,
            self.human.state(change.slice, change.box),
            replace(change.after, labels=labels),
            reader=self.reader,
            checkpoint=self.proposals.checkpoint(change.slice),
            number=self.work.next_number,
        )
        self.human.apply(correction)
        self.work.next_number += 1
        self._history.add(correction, joined)
        self._history.settle()
        self._changed(Acted(correction, joined), (correction,))
        return correction

    def _require_writable(self) -> None:
        if self.read_only:
            raise ReadOnlyError(self.read_only)

    def _changed(self, event: CaseEvent, group: Group) -> None:
        """Tell an event that changed voxels, if it did; a signature is void from here on."""
        if group:
            self.notes.signature = None
            self._teller.tell_change(event, group, self.human)
