"""The patches to check, as one Labels layer: a frame of pixels around each.

Layers of shapes and vectors have their shaders built anew with every slice that comes on display,
which takes time and, in some drivers, memory that is never given back. The colour tells the reason:
drawing words on the canvas would stop the window for 0.2 s at first. The current patch has a second
frame around it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap
from numpy.typing import NDArray

from napari_crii.patches import Patch, Reason

PATCHES = "Patches to check"
REASON_COLORS = {
    Reason.REGION: "#f0e442",
    Reason.LOW_CONTRAST: "#56b4e9",
    Reason.BOUNDARY: "#ffffff",
}
# A number tells place and reason: colours never change, and all fit into 8 bits.
_REASONS = tuple(REASON_COLORS)
MOST_PATCHES = 255 // len(_REASONS)
# So many lines side by side would fill a slice: on a large one they are wider than a pixel, up to
# an eighth of a patch.
_LINES_ACROSS = 320
_WIDEST_LINE = 4


class PatchesLayer:
    """Show a queue of patches; score and reason of each frame stand in the layer's `features`.

    Parameters
    ----------
    shape
        Of the scan: slices, rows, columns.
    grid
        Scale, units and the like, shared with the other layers of the case.
    """

    def __init__(self, shape: tuple[int, int, int], grid: Mapping[str, Any]) -> None:
        self._shown: list[Patch] = []
        self._current: Patch | None = None
        self._line = min(max(1, round(max(shape[1:]) / _LINES_ACROSS)), _WIDEST_LINE)
        colors: dict[int | None, str] = {None: "transparent", 0: "transparent"}
        for number in range(1, 1 + len(_REASONS) * MOST_PATCHES):
            colors[number] = REASON_COLORS[_REASONS[(number - 1) % len(_REASONS)]]
        # Pages of zeros that nobody writes on take no memory.
        self.layer = Labels(
            np.zeros(shape, dtype=np.uint8),
            name=PATCHES,
            colormap=DirectLabelColormap(color_dict=colors),
            opacity=1.0,
            **grid,
        )
        self.layer.editable = False

    def show(self, patches: Sequence[Patch], current: Patch | None) -> None:
        """Draw the first `MOST_PATCHES` of these and no others; mark the current one."""
        queue = list(patches[:MOST_PATCHES])
        if self._shown == queue and self._current == current:
            return
        before = {patch.slice for patch in self._shown}
        self._shown, self._current = queue, current
        numbers = [
            1 + len(_REASONS) * place + _REASONS.index(patch.reason)
            for place, patch in enumerate(queue)
        ]
        for index in before:
            self.layer.data[index] = 0
        # The first of the queue lie on top.
        for number, patch in reversed([*zip(numbers, queue, strict=True)]):
            self._draw(patch, number, 0)
        if current in queue:
            self._draw(current, numbers[queue.index(current)], 2 * self._line)
        # Each word of it would paint the window: the layer speaks when all stands.
        with self.layer.events.blocker_all():
            self.layer.features = {
                "index": numbers,
                "score": [patch.score for patch in queue],
                "reason": [str(patch.reason) for patch in queue],
            }
        self.layer.refresh(thumbnail=False)

    def _draw(self, patch: Patch, number: int, beyond: int) -> None:
        """Draw a frame so many pixels outside of a patch."""
        drawn = self.layer.data[patch.slice]
        drawn[frame(patch, drawn.shape, self._line, beyond)] = number


def frame(
    patch: Patch, shape: tuple[int, ...], line: int, beyond: int = 0
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return rows and columns of a frame: the outermost pixels of a patch, or outside of it.

    Parameters
    ----------
    patch
        Around which.
    shape
        Rows and columns of the slice; what lies beyond it is left out.
    line
        How many pixels wide.
    beyond
        How many pixels outside of the patch its outer edge is.
    """
    box = patch.box
    inner = line - beyond
    rows, columns = np.ogrid[
        max(0, box.top - beyond) : min(shape[0], box.bottom + beyond),
        max(0, box.left - beyond) : min(shape[1], box.right + beyond),
    ]
    inside = (rows >= box.top + inner) & (rows < box.bottom - inner)
    inside = inside & (columns >= box.left + inner) & (columns < box.right - inner)
    at_row, at_column = np.nonzero(~inside)
    return rows[at_row, 0], columns[0, at_column]
