"""The patches to check, as one Vectors layer: four sides a box.

A Shapes layer costs twice as much with every slice that comes on display, and tens of
milliseconds when the queue is new. The colour tells the reason: drawing words on the canvas would
stop the window for 0.2 s at first. The current patch has a second frame around it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from napari.layers import Vectors
from numpy.typing import NDArray

from napari_crii.patches import Patch, Reason

PATCHES = "Patches to check"
REASON_COLORS = {
    Reason.REGION: "#f0e442",
    Reason.LOW_CONTRAST: "#56b4e9",
    Reason.BOUNDARY: "#ffffff",
}
_LINE_PX = 0.7
_BETWEEN_FRAMES_PX = 1.5


class PatchesLayer:
    """Show a queue of patches; score and reason of each side stand in the layer's `features`.

    Parameters
    ----------
    grid
        Scale, units and the like, shared with the other layers of the case.
    """

    def __init__(self, grid: Mapping[str, Any]) -> None:
        self._shown: list[Patch] = []
        self._current: Patch | None = None
        self.layer = Vectors(
            np.zeros((0, 2, 3)),
            ndim=3,
            name=PATCHES,
            vector_style="line",
            edge_width=_LINE_PX,
            opacity=1.0,
            **grid,
        )
        self.layer.editable = False

    def show(self, patches: Sequence[Patch], current: Patch | None) -> None:
        """Draw these patches and no others; mark the current one."""
        if self._shown == list(patches) and self._current == current:
            return
        self._shown, self._current = list(patches), current
        framed = [(patch, sides(patch)) for patch in self._shown]
        if current in self._shown:
            framed.append((current, sides(current, _BETWEEN_FRAMES_PX)))
        drawn = [patch for patch, four in framed for _ in four]
        # Each word of it would paint the window: the layer speaks when all stands.
        with self.layer.events.blocker_all():
            self.layer.data = np.concatenate([np.zeros((0, 2, 3)), *(s for _, s in framed)])
            self.layer.features = {
                "score": [patch.score for patch in drawn],
                "reason": [str(patch.reason) for patch in drawn],
            }
            if drawn:
                self.layer.edge_color = [REASON_COLORS[patch.reason] for patch in drawn]
        self.layer.refresh(thumbnail=False)


def sides(patch: Patch, beyond: float = 0.0) -> NDArray[np.float64]:
    """Return the four sides of a patch, each a start and a way to its end, (4, 2, 3).

    The last axis is slice, row, column.

    Parameters
    ----------
    beyond
        How many pixels outside of the patch.
    """
    box = patch.box
    top, left = box.top - 0.5 - beyond, box.left - 0.5 - beyond
    height, width = box.bottom - box.top + 2 * beyond, box.right - box.left + 2 * beyond
    # Two of them go half a line further at both ends, to fill the corners.
    half = _LINE_PX / 2
    along_rows = [[(top - half, x), (height + 2 * half, 0)] for x in (left, left + width)]
    along_columns = [[(y, left), (0, width)] for y in (top, top + height)]
    found = np.zeros((4, 2, 3))
    found[..., 1:] = np.array(along_rows + along_columns)
    found[:, 0, 0] = patch.slice
    return found
