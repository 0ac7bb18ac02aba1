"""Signing a case off: who vouches for it as it stands, and which slices nobody had looked at."""

from __future__ import annotations

import hashlib
import time

import numpy as np

from napari_crii.session.case import Case
from napari_crii.session.correction import SliceStatus
from napari_crii.session.events import Signed
from napari_crii.session.reading import Reading


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
