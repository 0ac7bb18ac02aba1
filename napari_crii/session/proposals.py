"""What the network proposes: kept apart from the human mask, replaced at will."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_crii.patches import Patch

# What `Proposal.places` says of a pixel, in bits.
NEAR_EDGE, LOW_CONTRAST = 1, 2


@dataclass(frozen=True, eq=False)
class Proposal:
    """The network's word on one slice.

    Attributes
    ----------
    slice
        Index along the slice axis.
    labels
        (H, W) class indices.
    score
        (H, W) uint8, expected error from 0 to 255.
    patches
        Places worth a look.
    checkpoint
        Digest of the weights that made it.
    branches
        (H, W) uint8, Jensen-Shannon distance of the two branches, from 0 to 255.
    places
        (H, W) uint8, a bit each: near the proposed edge, in a tile of low contrast.
    """

    slice: int
    labels: NDArray[np.integer]
    score: NDArray[np.uint8]
    patches: tuple[Patch, ...] = ()
    checkpoint: str = ""
    branches: NDArray[np.uint8] | None = None
    places: NDArray[np.uint8] | None = None


class ProposalStore:
    """The latest proposal of every slice of a scan, slices first."""

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        kind = np.uint8 if classes <= 256 else np.uint16
        self._labels: NDArray[np.integer] = np.zeros(shape, dtype=kind)
        self._score: NDArray[np.uint8] = np.zeros(shape, dtype=np.uint8)
        self._branches: dict[int, NDArray[np.uint8]] = {}
        self._places: dict[int, NDArray[np.uint8]] = {}
        self._nothing: NDArray[np.uint8] = np.zeros(shape[1:], dtype=np.uint8)
        self._patches: dict[int, tuple[Patch, ...]] = {}
        self._checkpoints: dict[int, str] = {}

    @property
    def labels(self) -> NDArray[np.integer]:
        """(S, H, W) proposed classes, read-only."""
        return _read_only(self._labels)

    @property
    def score(self) -> NDArray[np.uint8]:
        """(S, H, W) expected error from 0 to 255, read-only."""
        view: NDArray[np.uint8] = _read_only(self._score)
        return view

    def put(self, proposal: Proposal) -> None:
        """Replace the proposal of one slice."""
        if proposal.labels.shape != self._labels.shape[1:]:
            shapes = (proposal.labels.shape, self._labels.shape[1:])
            raise ValueError("a proposal of shape {} does not fit slices of {}".format(*shapes))
        self._labels[proposal.slice] = proposal.labels
        self._score[proposal.slice] = proposal.score
        for kept, new in ((self._branches, proposal.branches), (self._places, proposal.places)):
            kept.pop(proposal.slice, None)
            # Mostly empty: on the slices of a large scan nothing is kept.
            if new is not None and new.any():
                kept[proposal.slice] = new.copy()
        self._patches[proposal.slice] = proposal.patches
        self._checkpoints[proposal.slice] = proposal.checkpoint

    def has(self, index: int) -> bool:
        """Whether slice `index` has been proposed."""
        return index in self._patches

    def branches(self, index: int) -> NDArray[np.uint8]:
        """Return (H, W) distance of the branches on slice `index`, from 0 to 255."""
        return self._branches.get(index, self._nothing)

    def places(self, index: int) -> NDArray[np.uint8]:
        """Return (H, W) kinds of place on slice `index`, as in `Proposal`."""
        return self._places.get(index, self._nothing)

    def patches(self, index: int) -> tuple[Patch, ...]:
        """Return the patches of slice `index`."""
        return self._patches.get(index, ())

    def checkpoint(self, index: int) -> str:
        """Return the digest of the weights behind the proposal of slice `index`, or ``""``."""
        return self._checkpoints.get(index, "")


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    view = array.view()
    view.flags.writeable = False
    return view
