"""What is known about a case beside its voxels: flags, looks, time, learning, signature."""

from __future__ import annotations

from napari_crii.session.events import (
    CaseEvent,
    Flagged,
    Learned,
    Looked,
    Proposed,
    Signed,
)


class CaseNotes:
    """Folded from events, so that a replay brings the same notes back.

    Attributes
    ----------
    flags
        Flagged slices, with the note that says why.
    looked
        Slices that a human had on display.
    seconds
        Time that humans spent on the case.
    learned
        Numbers of the corrections that the network has learnt from.
    checkpoints
        Digest of the weights behind the latest proposal of each slice.
    signature
        Who signed the case off as it stands, or None.
    """

    def __init__(self) -> None:
        self.flags: dict[int, str] = {}
        self.looked: set[int] = set()
        self.seconds = 0.0
        self.learned: set[int] = set()
        self.checkpoints: dict[int, str] = {}
        self.signature: Signed | None = None

    def take_in(self, event: CaseEvent) -> None:
        """Note what an event says; events that change voxels make a signature void elsewhere."""
        match event:
            case Flagged(index, True, note):
                self.flags[index] = note
            case Flagged(index, False):
                self.flags.pop(index, None)
            case Looked(slices, seconds):
                self.looked.update(slices)
                self.seconds += seconds
            case Learned(numbers):
                self.learned.update(numbers)
            case Proposed(index, checkpoint):
                self.checkpoints[index] = checkpoint
            case Signed():
                self.signature = event
