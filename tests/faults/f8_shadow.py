"""What a case should hold, in plain numpy arrays: the yardstick of F8.

A shadow knows the rules of the human mask (what a stroke, an acceptance, a rejection leave, what is
one step of undo, what a lock refuses) and nothing of corrections, packing or the journal.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from napari_crii.patches import Box
from napari_crii.session import SliceStatus
from napari_crii.session.human_mask import HumanMask

SHAPE = (3, 9, 11)
State = NDArray[np.uint8]


@dataclass
class Step:
    """An act of the shadow: what stood before it, what once slices were taken, what after."""

    before: State
    taken: State
    after: State


@dataclass
class Shadow:
    """A case in plain arrays: (3, S, H, W) of labels, provenance (0 to 3), status (0 to 2)."""

    now: State = field(default_factory=lambda: np.zeros((3, *SHAPE), dtype=np.uint8))
    proposed: State = field(default_factory=lambda: np.zeros(SHAPE, dtype=np.uint8))
    past: list[Step] = field(default_factory=list)
    future: list[Step] = field(default_factory=list)
    taken: int | None = None

    def shown(self, index: int) -> State:
        return self.now[0, index] if self.now[2, index, 0, 0] else self.proposed[index]

    def begin(self, index: int, joined: bool = False) -> Step:
        """Open an act on a slice; taking a slice is one with the act after it."""
        if self.taken != index and not joined:
            self.past.append(Step(self.now.copy(), self.now.copy(), self.now.copy()))
        self.taken = None
        self.future.clear()
        step = self.past[-1]
        if not self.now[2, index, 0, 0]:
            self.now[0, index] = step.taken[0, index] = self.proposed[index]
            self.now[2, index] = step.taken[2, index] = 1
        return step

    def end(self, step: Step) -> None:
        step.after = self.now.copy()

    def draw(self, slices: dict[int, State], locked: set[int]) -> None:
        """Draw on slices as one act."""
        joined = False
        for index, labels in slices.items():
            shown, fixed = self.shown(index), list(locked)
            changed = (labels != shown) & ~np.isin(shown, fixed) & ~np.isin(labels, fixed)
            if not changed.any():
                continue
            step = self.begin(index, joined)
            joined = True
            self.now[0, index][changed] = labels[changed]
            self.now[1, index][changed] = 2
            self.now[2, index] = 1
            self.end(step)

    def change(self, index: int, box: Box, accept: bool, locked: set[int], whole: bool) -> None:
        """Accept or reject a box of a slice."""
        step = self.begin(index)
        where = (index, *box.slices)
        nobody = self.now[1][where] == 0
        if accept:
            self.now[1][where][nobody] = 3
            self.now[2, index] = 2 if whole else self.now[2, index]
        else:
            self.now[0][where][nobody & ~np.isin(self.now[0][where], list(locked))] = 0
        self.end(step)

    def refuses(self, step: Step | None, locked: set[int]) -> bool:
        """Whether taking a step, back or forth, changes voxels of a locked class."""
        if step is None:
            return False
        changed = step.taken[0] != step.after[0]
        seen = set(step.taken[0][changed]) | set(step.after[0][changed])
        return bool(seen & locked)


def difference(human: HumanMask, now: State) -> str:
    """Return how a mask differs from a shadow's state (3, S, H, W), or nothing."""
    statuses = [SliceStatus.UNTOUCHED, SliceStatus.EDITED, SliceStatus.ACCEPTED]
    if not np.array_equal(human.labels, now[0]):
        return "labels differ"
    if not np.array_equal(human.provenance, now[1]):
        return "provenance differs"
    found = [statuses.index(human.status(i)) for i in range(SHAPE[0])]
    return "" if found == list(now[2, :, 0, 0]) else "statuses differ"
