"""A correction is a record: what changed on one slice, from what to what, by whom and when."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

import numpy as np
from numpy.typing import NDArray

from napari_crii.patches import Box


class Provenance(IntEnum):
    """Who vouches for a voxel of the human mask."""

    UNTOUCHED = 0
    SEED = 1
    DRAWN = 2
    ACCEPTED = 3


class SliceStatus(StrEnum):
    """How far a human has come with a slice."""

    UNTOUCHED = "untouched"
    EDITED = "edited"
    ACCEPTED = "accepted"


class Act(StrEnum):
    """What a human did."""

    TAKE = "take"
    DRAW = "draw"
    ACCEPT_PATCH = "accept patch"
    ACCEPT_SLICE = "accept slice"
    SEED = "seed"


@dataclass(frozen=True, eq=False)
class SliceState:
    """The human mask inside a box of one slice.

    Attributes
    ----------
    labels
        (h, w) class indices.
    provenance
        (h, w) uint8, values of `Provenance`.
    status
        Of the whole slice.
    """

    labels: NDArray[np.integer]
    provenance: NDArray[np.uint8]
    status: SliceStatus


@dataclass(frozen=True, eq=False)
class Correction:
    """One human act on one slice; applying `before` undoes it.

    Attributes
    ----------
    act
        What was done.
    slice
        Index along the slice axis.
    box
        The smallest rectangle that holds every change.
    before, after
        The human mask inside the box.
    reader
        Who did it.
    at
        Seconds since the epoch.
    """

    act: Act
    slice: int
    box: Box
    before: SliceState
    after: SliceState
    reader: str = ""
    at: float = field(default_factory=time.time)
