"""From what stands on the human's layer to corrections, and back along the history."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_crii.session import Case, SliceStatus
from napari_crii.widgets.layer_binding import LayerBinding


@dataclass(frozen=True)
class Taken:
    """What became of the strokes on a layer.

    Attributes
    ----------
    slices
        Where the layer differed from the case.
    refusal
        One sentence about what was not taken, or ``""``.
    stale
        Where the layers are no longer as the case has it. On a slice that is the human's already,
        the layer shows a stroke before it is taken.
    """

    slices: tuple[int, ...] = ()
    refusal: str = ""
    stale: tuple[int, ...] = ()


def take_drawn(case: Case, binding: LayerBinding, everywhere: bool = False) -> Taken:
    """Make corrections of what was drawn; one act, however many slices.

    The layer is not brought in line: that is for the caller, slice by slice.

    Parameters
    ----------
    case
        What is corrected.
    binding
        Its layers.
    everywhere
        Whether every slice is looked at, and not only where strokes can have been.
    """
    drawn = dict(binding.drawn.find(everywhere))
    slices = tuple(drawn)
    if not drawn or case.read_only:
        return Taken(slices, case.read_only if drawn else "", slices)
    stale = tuple(i for i in slices if case.status(i) is SliceStatus.UNTOUCHED)
    largest = max(int(labels.max()) for labels in drawn.values())
    known = drawn
    if largest >= case.classes:
        known = {
            index: np.where(labels >= case.classes, case.shown(index), labels)
            for index, labels in drawn.items()
        }
    case.draw_slices(known)
    refusal = ""
    if largest >= case.classes:
        refusal = f"There is no class {largest}; that stroke was not taken."
    elif case.human.locked and any(
        not np.array_equal(labels, case.shown(index)) for index, labels in known.items()
    ):
        refusal = "A class is locked; its part of the stroke was not taken."
    return Taken(slices, refusal, slices if refusal else stale)


def why_not_acceptable(case: Case, binding: LayerBinding) -> str:
    """Say why the slice on display cannot be accepted; ``""`` if it can."""
    if not binding.slices.on_display:
        return "Go back to the 2-D view of slices, then accept one."
    index = binding.slices.current
    if case.status(index) is SliceStatus.UNTOUCHED and not case.proposals.has(index):
        return "Nothing is proposed or drawn on this slice yet."
    return ""


def step_history(case: Case, binding: LayerBinding, forward: bool) -> str:
    """Undo the last act, or redo (`forward`); show where, and say what was done.

    Raises
    ------
    LockedError
        If that changes voxels of a locked class; nothing is changed.
    """
    group = case.redo_act() if forward else case.undo_act()
    if not group:
        return "Nothing to redo." if forward else "Nothing to undo."
    slices = sorted({correction.slice for correction in group})
    if binding.slices.current not in slices:
        binding.slices.turn_to(group[-1].slice)
    for index in slices:
        binding.show_slice(index)
    first, last = slices[0] + 1, slices[-1] + 1
    where = f"slice {first}" if first == last else f"slices {first} to {last}"
    return f"{'Done again' if forward else 'Undone'}: {group[-1].act} on {where}."
