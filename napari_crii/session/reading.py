"""What one reader made of a case: the human mask, its history and its notes, without the scan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from napari_crii.session.correction import Correction, SliceStatus
from napari_crii.session.events import Acted, CaseEvent, Locked, Redone, Stood, Undone
from napari_crii.session.history import LIMIT_BYTES, Group, History
from napari_crii.session.human_mask import HumanMask
from napari_crii.session.notes import CaseNotes


@dataclass(eq=False)
class Reading:
    """One reader's work on a case.

    Attributes
    ----------
    human
        What was said about every voxel.
    history
        What can be undone and redone.
    notes
        Flags, looks, time, learning and signature.
    next_number
        Of the next correction.
    """

    human: HumanMask
    history: History
    notes: CaseNotes = field(default_factory=CaseNotes)
    next_number: int = 0

    @classmethod
    def new(cls, shape: tuple[int, int, int], classes: int, limit: int = LIMIT_BYTES) -> Reading:
        """Return a reading in which nobody has said anything; parameters as of `Case`."""
        return cls(HumanMask(shape, classes), History(limit))

    def slices_with(self, *statuses: SliceStatus) -> list[int]:
        """Return the slices that have one of these statuses, in order."""
        return self.human.slices_with(*statuses)

    def replay(self, events: Sequence[CaseEvent]) -> None:
        """Bring a new reading to where recorded events left it.

        Voxels are written from the last recorded state of a slice on; history and notes need
        every event.

        Raises
        ------
        ValueError
            If an event does not fit what the events before it left.
        """
        stood_at = {e.slice: at for at, e in enumerate(events) if isinstance(e, Stood)}
        for at in stood_at.values():
            stood = events[at]
            assert isinstance(stood, Stood)
            self.human.load(stood.slice, stood.state)
        for at, event in enumerate(events):
            for correction, undo in self._take_in(event):
                if at > stood_at.get(correction.slice, -1):
                    self._exchange(correction, undo)
        self.history.settle()

    def _take_in(self, event: CaseEvent) -> list[tuple[Correction, bool]]:
        """Take an event in; return the corrections to write, with whether to take them back."""
        match event:
            case Acted(correction, joined):
                self.history.add(correction, joined)
                self.next_number = correction.number + 1
                return self._some((correction,), undo=False)
            case Undone():
                return self._some(self.history.undo(), undo=True)
            case Redone():
                return self._some(self.history.redo(), undo=False)
            case Locked(classes):
                self.human.lock(classes)
            case _:
                self.notes.take_in(event)
        return []

    def _some(self, group: Group, undo: bool) -> list[tuple[Correction, bool]]:
        if not group:
            raise ValueError("there is nothing to undo or redo where the journal says so")
        self.notes.signature = None
        return [(correction, undo) for correction in (group[::-1] if undo else group)]

    def _exchange(self, correction: Correction, undo: bool) -> None:
        if undo:
            self.human.revert(correction)
        else:
            self.human.apply(correction)
