"""The review queue: which patches to look at, in which order, and which one is on display."""

from __future__ import annotations

from itertools import islice

from napari_crii.patches import Patch, order_patches
from napari_crii.session import Act, Case, SliceStatus

QUEUE_LENGTH = 40


def open_patches(case: Case) -> list[Patch]:
    """Return the patches that nobody has confirmed, in the order to visit them, the worst 40.

    A patch that was confirmed keeps its place among the others: those beside it move no farther up.
    """
    confirmed = {(c.slice, c.box) for c in case.corrections if c.act is Act.ACCEPT_PATCH}
    still = set(case.slices_with(SliceStatus.UNTOUCHED, SliceStatus.EDITED))
    patches = (p for index in range(case.shape[0]) for p in case.proposals.patches(index))
    left = (
        p for p in order_patches(patches) if p.slice in still and (p.slice, p.box) not in confirmed
    )
    return list(islice(left, QUEUE_LENGTH))


class Review:
    """The queue of one case."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self.patches: list[Patch] = []
        self.current: Patch | None = None

    def refresh(self) -> None:
        """Bring the queue in line with the case; a current patch that left it stays behind."""
        self.patches = open_patches(self._case)
        if self.current not in self.patches:
            self.current = None

    def step(self, by: int) -> Patch | None:
        """Move to the next (+1) or previous (-1) patch and return it; None if there is none."""
        if not self.patches:
            return None
        if self.current is None:
            self.current = self.patches[0 if by > 0 else -1]
        else:
            at = self.patches.index(self.current)
            self.current = self.patches[(at + by) % len(self.patches)]
        return self.current

    def take_out(self) -> Patch | None:
        """Return the current patch and make the one before it current, for a step to the next."""
        taken = self.current
        if taken is not None:
            at = self.patches.index(taken)
            self.current = self.patches[at - 1] if at else None
        return taken


def outwards(indices: list[int], start: int) -> list[int]:
    """Order slices by their distance from `start`."""
    return sorted(indices, key=lambda i: (abs(i - start), i))


def to_propose(case: Case, current: int, whole_volume: bool) -> list[int]:
    """Return the slices that nobody touched, the nearest to `current` first, or that one only."""
    wanted = case.slices_with(SliceStatus.UNTOUCHED)
    return outwards(wanted, current) if whole_volume else [i for i in wanted if i == current]
