"""What the list of cases says: a line a case, its signature and flags, what is signed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from napari_crii.session import Case, SliceStatus
from napari_crii.session.events import Signed
from napari_crii.session.notes import CaseNotes
from napari_crii.session.progress import CaseOverview
from napari_crii.session.signing import unseen_slices


@dataclass(frozen=True)
class CaseLine:
    """What the list says of a case; `here`: it is the one on display."""

    name: str
    status: str
    accepted: str
    here: bool
    tip: str = ""


def line_of(name: str, found: CaseOverview | None, here: bool) -> CaseLine:
    """Return the line of a case, of which nothing may be known yet."""
    if found is None:
        return CaseLine(name, "...", "", here)
    signed = "" if found.signed is None else signed_in_words(found.signed)
    accepted = f"{found.accepted} of {found.total}"
    return CaseLine(name, str(found.progress), accepted, here, signed)


def signed_in_words(signature: Signed) -> str:
    """Say who signed a case off, and when."""
    at = time.strftime("%Y-%m-%d at %H:%M", time.localtime(signature.at))
    return f"Signed off by {signature.by} on {at}."


def notes_in_words(notes: CaseNotes) -> str:
    """Say what else is known of the case on display: its signature, its flags and their notes."""
    lines = [] if notes.signature is None else [signed_in_words(notes.signature)]
    flags = [
        f"slice {index + 1}" + (f" ({note})" if note else "")
        for index, note in sorted(notes.flags.items())
    ]
    return "\n".join([*lines, *([f"Flagged: {', '.join(flags)}."] if flags else [])])


def signing_in_words(name: str, case: Case, by: str) -> str:
    """Return the question before a case is signed off: what is and what is not behind it."""
    total = case.shape[0]
    accepted = len(case.slices_with(SliceStatus.ACCEPTED))
    corrected = len(case.slices_with(SliceStatus.EDITED))
    unseen = unseen_slices(case.work)
    never = (
        f"Never looked at: {ranges_in_words(unseen)}."
        if unseen
        else "Every slice was looked at or corrected."
    )
    return (
        f"Sign {name} off as {by}, as it stands now?\n\n"
        f"Accepted: {accepted} of {total} slices. Corrected, not accepted: {corrected}.\n"
        f"{never}\n\nThe next correction makes the signature void."
    )


def ranges_in_words(indices: Sequence[int]) -> str:
    """Return slices as the user counts them: ``slices 1 to 4, 7``."""
    parts: list[list[int]] = []
    for index in sorted(indices):
        if parts and index == parts[-1][-1] + 1:
            parts[-1].append(index)
        else:
            parts.append([index])
    words = [
        f"{part[0] + 1}" if len(part) == 1 else f"{part[0] + 1} to {part[-1] + 1}" for part in parts
    ]
    return f"{'slice' if len(indices) == 1 else 'slices'} {', '.join(words)}"
