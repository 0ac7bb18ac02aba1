"""The patches to check, as one Shapes layer.

Rebuilding rectangles is the dearest thing that the window's thread does here (tens of ms), so it
happens only when the queue is new; a patch that is done is removed, the current one is selected.
The colour tells the reason: drawing words on the canvas would stop the window for 0.2 s at first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from napari.layers import Shapes
from numpy.typing import NDArray

from napari_crii.patches import Box, Patch, Reason
from napari_crii.session import Case

PATCHES = "Patches to check"
REASON_COLORS = {
    Reason.REGION: "#f0e442",
    Reason.LOW_CONTRAST: "#56b4e9",
    Reason.BOUNDARY: "#ffffff",
}
_LINE_PX = 0.7


class PatchesLayer:
    """Show a queue of patches; score and reason stand in the layer's `features`.

    Parameters
    ----------
    case
        Whose patches they are.
    grid
        Scale, units and the like, shared with the other layers of the case.
    """

    def __init__(self, case: Case, grid: Mapping[str, Any]) -> None:
        self._shown: list[Patch] = []
        self._warm = False
        self.layer = Shapes(
            None,
            ndim=3,
            name=PATCHES,
            features={"score": np.zeros(0), "reason": np.zeros(0, dtype=object)},
            **grid,
        )
        self.layer.editable = False

    def warm_up(self, index: int) -> bool:
        """Draw one small box on slice `index`, then remove it; False: done.

        The first box of a layer costs 0.1 s: it is paid while the scan opens, not while the
        user works.
        """
        if self._warm:
            self.show((), None)
            return False
        self._warm = True
        self.show((Patch(index, Box(0, 0, 1, 1), 0.0, Reason.REGION),), None)
        return True

    def show(self, patches: Sequence[Patch], current: Patch | None) -> None:
        """Draw the patches, and mark the current one."""
        if list(patches) != self._shown:
            gone = [i for i, patch in enumerate(self._shown) if patch not in patches]
            if gone and [p for p in self._shown if p in patches] == list(patches):
                self.layer.selected_data = set(gone)
                self.layer.remove_selected()
            else:
                self._draw(patches)
            self._shown = list(patches)
        chosen = {self._shown.index(current)} if current in self._shown else set()
        if set(self.layer.selected_data) != chosen:
            self.layer.selected_data = chosen

    def _draw(self, patches: Sequence[Patch]) -> None:
        layer = self.layer
        if len(layer.data):
            layer.data = []
        if not patches:
            return
        layer.add_rectangles(
            [rectangle(p) for p in patches],
            edge_color=[REASON_COLORS[p.reason] for p in patches],
            face_color="transparent",
            edge_width=_LINE_PX,
        )
        layer.features = {
            "score": [p.score for p in patches],
            "reason": [str(p.reason) for p in patches],
        }


def rectangle(patch: Patch) -> NDArray[np.float64]:
    """Return the corners of a patch, (4, 3): slice, row, column."""
    box = patch.box
    rows, columns = (box.top - 0.5, box.bottom - 0.5), (box.left - 0.5, box.right - 0.5)
    corners = ((0, 0), (0, 1), (1, 1), (1, 0))
    return np.array([(patch.slice, rows[r], columns[c]) for r, c in corners], dtype=float)
