"""Where a mask comes from: which scan and weights, who confirmed what, what nobody saw."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from napari_crii.session.correction import Act, Correction, Provenance, SliceStatus
from napari_crii.session.events import Signed
from napari_crii.session.progress import case_progress, slice_progress
from napari_crii.session.reading import Reading
from napari_crii.session.records import CaseRecord, Records
from napari_crii.session.signing import unseen_slices

FORMAT = 1
_CONFIRMING = (Act.ACCEPT_SLICE, Act.ACCEPT_PATCH, Act.SEED)


def provenance_of(record: CaseRecord, records: Records, work: Reading) -> dict[str, Any]:
    """Return the provenance of a case's human mask, ready for JSON; no path, no note.

    Slices count from 0 along the scan's slice axis. `machine_only_share` is the share of the
    mask's foreground that the network proposed and nobody confirmed. `never_looked_at` is as it
    stands now; that of the signature is what was so when it was given.
    """
    corrections = work.history.corrections
    return {
        "format": FORMAT,
        "case": record.name,
        "patient": record.patient,
        "validation": record.validation,
        "scan_sha256": record.digest,
        "checkpoints_sha256": sorted({c.checkpoint for c in corrections if c.checkpoint}),
        "classes": {c.name: c.id for c in records.classes},
        "progress": case_progress(work),
        "signed": _signature(work.notes.signature),
        "never_looked_at": list(unseen_slices(work)),
        "edits": edits(work),
        "seconds": round(work.notes.seconds, 1),
        "voxels": _counts(work),
        "machine_only_share": machine_only_share(work),
        "slices": [_slice(work, corrections, index) for index in _touched(work)],
    }


def machine_only_share(work: Reading) -> float:
    """Return the share of the foreground that nobody vouches for, 0 where there is none."""
    foreground = work.human.labels > 0
    total = int(np.count_nonzero(foreground))
    machine = foreground & (work.human.provenance == Provenance.UNTOUCHED)
    return np.count_nonzero(machine) / total if total else 0.0


def edits(work: Reading) -> int:
    """Return how many acts of humans stand, by slice; taking a proposal is none."""
    return sum(correction.act is not Act.TAKE for correction in work.history.corrections)


def moment(seconds: float) -> str:
    """Return a time in UTC as ISO 8601."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _touched(work: Reading) -> list[int]:
    return work.slices_with(SliceStatus.EDITED, SliceStatus.ACCEPTED)


def _counts(work: Reading) -> dict[str, int]:
    counts = np.bincount(work.human.provenance.reshape(-1), minlength=len(Provenance))
    return {kind.name.lower(): int(counts[kind]) for kind in Provenance}


def _slice(work: Reading, corrections: Iterable[Correction], index: int) -> dict[str, Any]:
    here = [c for c in corrections if c.slice == index]
    confirming = [c for c in here if c.act in _CONFIRMING]
    return {
        "slice": index,
        "progress": slice_progress(work, index),
        "drawn_by": sorted({c.reader for c in here if c.act is Act.DRAW}),
        "confirmed": [
            {"act": c.act, "by": c.reader, "at": moment(c.at)}
            | ({} if c.act is not Act.ACCEPT_PATCH else {"box": _box(c)})
            for c in confirming
        ],
    }


def _box(correction: Correction) -> list[int]:
    box = correction.box
    return [box.top, box.left, box.bottom, box.right]


def _signature(signed: Signed | None) -> dict[str, Any] | None:
    if signed is None:
        return None
    return {
        "by": signed.by,
        "at": moment(signed.at),
        "mask_sha256": signed.digest,
        "never_looked_at": list(signed.unseen),
    }
