"""How far a case has come, and signing it off."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from napari_crii.session.case import Case
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


def unseen_slices(work: Reading) -> tuple[int, ...]:
    """Return the slices that nobody had on display, corrected or accepted."""
    untouched = work.slices_with(SliceStatus.UNTOUCHED)
    return tuple(index for index in untouched if index not in work.notes.looked)


def sign_off(case: Case, by: str) -> Signed:
    """Sign a case off as it stands; the next correction makes the signature void.

    Raises
    ------
    ReadOnlyError
        If the project is open for reading only.
    """
    signature = Signed(by, time.time(), mask_digest(case.work), unseen_slices(case.work))
    case.note(signature)
    return signature


def mask_digest(work: Reading) -> str:
    """Return the SHA-256 of the human mask and of who vouches for it, in hexadecimal."""
    sha = hashlib.sha256(np.ascontiguousarray(work.human.labels, dtype="<u2").data)
    sha.update(np.ascontiguousarray(work.human.provenance).data)
    sha.update("".join(work.human.status(i) for i in range(work.human.labels.shape[0])).encode())
    return sha.hexdigest()
