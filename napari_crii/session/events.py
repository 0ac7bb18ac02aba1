"""What happens to a case, as records: the journal keeps them, and replays them on opening."""

from __future__ import annotations

from dataclasses import dataclass

from napari_crii.session.correction import Correction, SliceState


@dataclass(frozen=True, eq=False)
class Acted:
    """A human corrected a slice; `joined` to the act before it, it is undone with it."""

    correction: Correction
    joined: bool = False


@dataclass(frozen=True)
class Undone:
    """The last act was taken back."""


@dataclass(frozen=True)
class Redone:
    """What was last taken back was done again."""


@dataclass(frozen=True)
class Proposed:
    """The network's proposal of a slice came up, made by the weights of this digest."""

    slice: int
    checkpoint: str


@dataclass(frozen=True)
class Flagged:
    """A human put a flag on a slice, or took it off; a note says why."""

    slice: int
    flagged: bool
    note: str = ""


@dataclass(frozen=True)
class Locked:
    """From now on these classes are locked, and no others."""

    classes: tuple[int, ...]


@dataclass(frozen=True)
class Looked:
    """A human had these slices on display for this long, in seconds."""

    slices: tuple[int, ...]
    seconds: float


@dataclass(frozen=True)
class Learned:
    """The network has learnt from these corrections, given by their numbers."""

    numbers: tuple[int, ...]


@dataclass(frozen=True)
class Signed:
    """A reviewer signs a case off as it stands; the next correction makes that void.

    Attributes
    ----------
    by
        Who signs.
    at
        Seconds since the epoch.
    digest
        SHA-256 of the human mask, in hexadecimal.
    unseen
        Slices that nobody had on display, corrected or accepted.
    """

    by: str
    at: float
    digest: str
    unseen: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Stood:
    """How a slice stands after all that happened before: spares replaying it."""

    slice: int
    state: SliceState


CaseEvent = (
    Acted | Undone | Redone | Proposed | Flagged | Locked | Looked | Learned | Signed | Stood
)
