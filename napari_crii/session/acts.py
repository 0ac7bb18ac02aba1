"""What an act of the human makes of a slice, as pure functions: `Case` writes what they return.

All of them read the human mask (S, H, W) as it stands and return how a box of one slice shall
stand after the act. None of them writes; what is refused is refused where it is written.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_crii.patches import Box, bounding_box
from napari_crii.session.correction import Act, Provenance, SliceState, SliceStatus
from napari_crii.session.human_mask import HumanMask


@dataclass(frozen=True, eq=False)
class Change:
    """How a box of a slice shall stand after an act.

    Attributes
    ----------
    act
        What the human did.
    slice
        Index of the slice.
    box
        Inside of which something may change.
    after
        What stands there afterwards; arrays have the shape of `box`.
    """

    act: Act
    slice: int
    box: Box
    after: SliceState


def taken(human: HumanMask, index: int, proposed: NDArray[np.integer]) -> Change:
    """Return the proposal (H, W) of an untouched slice as what the human starts from."""
    # Compressing what stays empty would make the first stroke on a slice wait.
    box = bounding_box(proposed != human.labels[index]) or Box(0, 0, 1, 1)
    labels = proposed[box.slices].copy()
    provenance = np.full(labels.shape, Provenance.UNTOUCHED, dtype=np.uint8)
    return Change(Act.TAKE, index, box, SliceState(labels, provenance, SliceStatus.EDITED))


def drawn(
    human: HumanMask, index: int, shown: NDArray[np.integer], labels: NDArray[np.integer]
) -> Change | None:
    """Return what differs between a slice as shown and as left, both (H, W); None: nothing does.

    Voxels of a locked class stay, and none are added to it.
    """
    changed: NDArray[np.bool_] = labels != shown
    if human.locked:
        locked = list(human.locked)
        changed &= ~(np.isin(shown, locked) | np.isin(labels, locked))
    # A stroke is small beside its slice: all the rest happens inside its box.
    box = bounding_box(changed)
    if box is None:
        return None
    where = box.slices
    inside = changed[where]
    provenance = human.provenance[index][where].copy()
    provenance[inside] = Provenance.DRAWN
    left = np.where(inside, labels[where], shown[where])
    return Change(Act.DRAW, index, box, SliceState(left, provenance, SliceStatus.EDITED))


def seeded(human: HumanMask, index: int, labels: NDArray[np.integer]) -> Change:
    """Return an expert's finished mask (H, W) of a slice, every voxel of it vouched for."""
    said = np.full(labels.shape, Provenance.SEED, dtype=np.uint8)
    after = SliceState(labels, said, SliceStatus.ACCEPTED)
    return Change(Act.SEED, index, human.whole, after)


def confirmed(human: HumanMask, act: Act, index: int, box: Box, status: SliceStatus) -> Change:
    """Raise the provenance inside `box`; what was drawn or seeded keeps its origin."""
    current = human.state(index, box)
    provenance = np.where(
        current.provenance == Provenance.UNTOUCHED, Provenance.ACCEPTED, current.provenance
    ).astype(np.uint8)
    return Change(act, index, box, SliceState(current.labels, provenance, status))


def rejected(human: HumanMask, act: Act, index: int, box: Box) -> Change:
    """Put background inside `box`, but where somebody vouches or the class is locked."""
    current = human.state(index, box)
    kept = (current.provenance != Provenance.UNTOUCHED) | np.isin(
        current.labels, list(human.locked)
    )
    labels = np.where(kept, current.labels, 0)
    return Change(act, index, box, SliceState(labels, current.provenance, current.status))
