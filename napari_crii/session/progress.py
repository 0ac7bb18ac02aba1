"""How far a case, or a slice of it, has come: one word each, and a line about the case."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from napari_crii.session.correction import SliceStatus
from napari_crii.session.events import Signed
from napari_crii.session.reading import Reading


class Progress(StrEnum):
    """How far a case, or one slice of it, has come."""

    NEW = "new"
    IN_PROGRESS = "in progress"
    DONE = "done"
    FLAGGED = "flagged"


_OF_SLICES = {
    SliceStatus.UNTOUCHED: Progress.NEW,
    SliceStatus.EDITED: Progress.IN_PROGRESS,
    SliceStatus.ACCEPTED: Progress.DONE,
}


def slice_progress(work: Reading, index: int) -> Progress:
    """Return how far slice `index` has come; a flag is told before anything else."""
    return Progress.FLAGGED if index in work.notes.flags else _OF_SLICES[work.human.status(index)]


def case_progress(work: Reading) -> Progress:
    """Return how far a case has come: it is done when it is signed and bears no flag."""
    if work.notes.flags:
        return Progress.FLAGGED
    if work.notes.signature is not None:
        return Progress.DONE
    begun = work.slices_with(SliceStatus.EDITED, SliceStatus.ACCEPTED)
    return Progress.IN_PROGRESS if begun else Progress.NEW


@dataclass(frozen=True)
class CaseOverview:
    """A line about a case.

    Attributes
    ----------
    progress
        How far it has come.
    accepted, total
        Slices that a human accepted, and all.
    signed
        Who signed it off as it stands, and when; or None.
    """

    progress: Progress
    accepted: int
    total: int
    signed: Signed | None = None


def overview(work: Reading) -> CaseOverview:
    """Return the line about a case."""
    return CaseOverview(
        case_progress(work),
        len(work.slices_with(SliceStatus.ACCEPTED)),
        len(work.human.labels),
        work.notes.signature,
    )
