"""Entries of the journal: what happened, as a kind, a JSON head and a few packed bytes."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from typing import Any

from napari_crii.patches import Box
from napari_crii.session.correction import (
    Act,
    Correction,
    SliceStatus,
    pack_state,
    unpack_state,
)
from napari_crii.session.events import (
    Acted,
    CaseEvent,
    Flagged,
    Learned,
    Locked,
    Looked,
    Proposed,
    Redone,
    Signed,
    Stood,
    Undone,
)

_PLAIN: dict[str, type[Any]] = {
    "undone": Undone,
    "redone": Redone,
    "proposed": Proposed,
    "flagged": Flagged,
    "locked": Locked,
    "looked": Looked,
    "learned": Learned,
    "signed": Signed,
}
_NAMES = {kind: name for name, kind in _PLAIN.items()}


@dataclass(frozen=True)
class Entry:
    """One line of the journal.

    Attributes
    ----------
    kind
        What happened, one word.
    reading
        To which reading of which case, or ``""`` for the project as a whole.
    head
        The facts, as canonical JSON.
    blob
        Packed voxels, or nothing.
    at
        Seconds since the epoch.
    """

    kind: str
    reading: str
    head: str
    blob: bytes = b""
    at: float = field(default_factory=time.time)

    @property
    def facts(self) -> dict[str, Any]:
        """The head as a dictionary."""
        facts: dict[str, Any] = json.loads(self.head)
        return facts


def make_entry(kind: str, reading: str, facts: dict[str, Any], blob: bytes = b"") -> Entry:
    """Return an entry with these facts."""
    head = json.dumps(facts, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return Entry(kind, reading, head, blob)


def entry_of(event: CaseEvent, reading: str) -> Entry:
    """Return the entry of an event of a reading."""
    match event:
        case Acted(correction, joined):
            return make_entry("acted", reading, _facts(correction, joined), correction.change)
        case Stood(index, state):
            facts = {"slice": index, "status": state.status}
            return make_entry("stood", reading, facts, pack_state(state))
        case _:
            return make_entry(_NAMES[type(event)], reading, asdict(event))


def event_of(entry: Entry, shape: tuple[int, int]) -> CaseEvent:
    """Return the event of an entry; the inverse of `entry_of`.

    Parameters
    ----------
    entry
        Of a reading.
    shape
        Of a slice.

    Raises
    ------
    ValueError, KeyError, TypeError
        If the entry holds no event of a known kind.
    """
    facts = entry.facts
    if entry.kind == "acted":
        return Acted(_correction(facts, entry.blob), bool(facts["joined"]))
    if entry.kind == "stood":
        state = unpack_state(entry.blob, shape, SliceStatus(facts["status"]))
        return Stood(int(facts["slice"]), state)
    plain = {key: tuple(v) if isinstance(v, list) else v for key, v in facts.items()}
    event: CaseEvent = _PLAIN[entry.kind](**plain)
    return event


def _facts(correction: Correction, joined: bool) -> dict[str, Any]:
    box = correction.box
    return {
        "act": correction.act,
        "slice": correction.slice,
        "box": (box.top, box.left, box.bottom, box.right),
        "from": correction.status_before,
        "to": correction.status_after,
        "reader": correction.reader,
        "checkpoint": correction.checkpoint,
        "at": correction.at,
        "number": correction.number,
        "joined": joined,
    }


def _correction(facts: dict[str, Any], change: bytes) -> Correction:
    return Correction(
        act=Act(facts["act"]),
        slice=int(facts["slice"]),
        box=Box(*facts["box"]),
        change=change,
        status_before=SliceStatus(facts["from"]),
        status_after=SliceStatus(facts["to"]),
        reader=str(facts["reader"]),
        checkpoint=str(facts["checkpoint"]),
        at=float(facts["at"]),
        number=int(facts["number"]),
    )
