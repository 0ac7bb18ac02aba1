"""A correction is a record: what changed on one slice, from what to what, by whom and when."""

from __future__ import annotations

import time
import zlib
from dataclasses import dataclass, field, replace
from enum import IntEnum, StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_crii.patches import Box

_FAST = 1


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
    REJECT_PATCH = "reject patch"
    REJECT_SLICE = "reject slice"
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
    """One human act on one slice; writing its `before` undoes it.

    Attributes
    ----------
    act
        What was done.
    slice
        Index along the slice axis.
    box
        The smallest rectangle that holds every change.
    change
        The human mask inside the box before the act, and the difference to what it is after
        it, packed; empty once the history let go of it.
    status_before, status_after
        Of the whole slice.
    reader
        Who did it.
    checkpoint
        Digest of the weights whose proposal stood there, or ``""``.
    at
        Seconds since the epoch.
    number
        Counts the corrections of a case from 0; never given twice.
    """

    act: Act
    slice: int
    box: Box
    change: bytes
    status_before: SliceStatus
    status_after: SliceStatus
    reader: str = ""
    checkpoint: str = ""
    at: float = field(default_factory=time.time)
    number: int = 0

    @classmethod
    def between(
        cls, act: Act, index: int, box: Box, before: SliceState, after: SliceState, **facts: Any
    ) -> Correction:
        """Return the correction that leads from one state of a box to another.

        `facts` are the remaining attributes.
        """
        change = _pack(before, after)
        return cls(act, index, box, change, before.status, after.status, **facts)

    @property
    def before(self) -> SliceState:
        """The human mask inside the box before the act."""
        return self.states()[0]

    @property
    def after(self) -> SliceState:
        """The human mask inside the box after the act."""
        return self.states()[1]

    def states(self) -> tuple[SliceState, SliceState]:
        """Return the human mask inside the box before and after the act."""
        labels, provenance, other_labels, other_provenance = self._parts()
        before = SliceState(labels, provenance, self.status_before)
        left = labels ^ other_labels, provenance ^ other_provenance
        return before, SliceState(*left, self.status_after)

    def without_change(self) -> Correction:
        """Return the record without its voxels: it can no longer be undone."""
        return replace(self, change=b"")

    def _parts(self) -> tuple[Any, ...]:
        raw = zlib.decompress(self.change)
        shape = (self.box.bottom - self.box.top, self.box.right - self.box.left)
        kind = np.dtype(np.uint8 if len(raw) == 4 * self.box.size else "<u2")
        size = self.box.size
        ends = np.cumsum([0, size * kind.itemsize, size, size * kind.itemsize, size])
        if ends[-1] != len(raw):
            raise ValueError(f"{len(raw)} bytes are no change of a box of {size} pixels")
        kinds = (kind, np.dtype(np.uint8), kind, np.dtype(np.uint8))
        return tuple(
            np.frombuffer(raw[start:end], dtype=one).reshape(shape)
            for start, end, one in zip(ends[:-1], ends[1:], kinds, strict=True)
        )


def pack_state(state: SliceState) -> bytes:
    """Pack labels and provenance of a whole slice; the inverse of `unpack_state`."""
    return zlib.compress(_label_bytes(state.labels) + state.provenance.tobytes(), _FAST)


def unpack_state(packed: bytes, shape: tuple[int, int], status: SliceStatus) -> SliceState:
    """Return the state of a slice of `shape` that `pack_state` packed.

    Raises
    ------
    ValueError
        If the bytes do not fill such a slice.
    """
    raw, size = zlib.decompress(packed), shape[0] * shape[1]
    kind: np.dtype[Any] = np.dtype(np.uint8 if len(raw) == 2 * size else "<u2")
    if len(raw) != size * (kind.itemsize + 1):
        raise ValueError(f"{len(raw)} bytes are no state of a slice of {shape}")
    labels = np.frombuffer(raw[:-size], dtype=kind).reshape(shape)
    return SliceState(labels, np.frombuffer(raw[-size:], dtype=np.uint8).reshape(shape), status)


def _pack(before: SliceState, after: SliceState) -> bytes:
    """Pack two states: what stays the same becomes zeros, which cost nearly nothing."""
    parts = (
        _label_bytes(before.labels),
        before.provenance.tobytes(),
        _label_bytes(before.labels ^ after.labels),
        (before.provenance ^ after.provenance).tobytes(),
    )
    return zlib.compress(b"".join(parts), _FAST)


def _label_bytes(labels: NDArray[np.integer]) -> bytes:
    """Return labels as little-endian bytes, so that a project moves between machines."""
    return labels.astype(labels.dtype.newbyteorder("<"), copy=False).tobytes()
