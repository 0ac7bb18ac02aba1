"""The patches to check, as one Shapes layer.

Rebuilding rectangles is the dearest thing that the window's thread does here (tens of ms), so it
happens only when the queue is new, and a few boxes at a time, with turns of the event loop between
them; a patch that is done is removed, the current one is selected. The colour tells the reason:
drawing words on the canvas would stop the window for 0.2 s at first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from napari.layers import Shapes
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer

from napari_crii.patches import Box, Patch, Reason
from napari_crii.session import Case

PATCHES = "Patches to check"
REASON_COLORS = {
    Reason.REGION: "#f0e442",
    Reason.LOW_CONTRAST: "#56b4e9",
    Reason.BOUNDARY: "#ffffff",
}
_LINE_PX = 0.7
_BOXES_A_TURN = 10
_TURN_MS = 15


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
        self._waiting: list[Patch] = []
        self._current: Patch | None = None
        self._warm = False
        self.layer = Shapes(
            None,
            ndim=3,
            name=PATCHES,
            features={"score": np.zeros(0), "reason": np.zeros(0, dtype=object)},
            **grid,
        )
        self.layer.editable = False
        # Owned by a Qt object of this binding alone, so that it ends with it.
        self._owner = QObject()
        self._turns = QTimer(self._owner)
        self._turns.setInterval(_TURN_MS)
        self._turns.timeout.connect(self._draw_some)

    @property
    def drawing(self) -> bool:
        """Whether boxes are still on their way."""
        return self._turns.isActive()

    def close(self) -> None:
        """Draw no more."""
        self._turns.stop()

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
        """Draw the patches, a few in each turn of the event loop, and mark the current one."""
        self._current = current
        wanted = [*self._shown, *self._waiting]
        if list(patches) != wanted and not self._take_out(patches, wanted):
            self._draw(patches)
        self._mark()

    def _take_out(self, patches: Sequence[Patch], wanted: Sequence[Patch]) -> bool:
        """Remove the boxes that are done, if that is all there is to do."""
        if [p for p in wanted if p in patches] != list(patches):
            return False
        gone = [i for i, patch in enumerate(self._shown) if patch not in patches]
        self._waiting = [p for p in self._waiting if p in patches]
        if gone:
            self.layer.selected_data = set(gone)
            self.layer.remove_selected()
            self._shown = [p for p in self._shown if p in patches]
        return True

    def _mark(self) -> None:
        """Select the current patch, once it is drawn."""
        chosen = {self._shown.index(self._current)} if self._current in self._shown else set()
        if set(self.layer.selected_data) != chosen:
            self.layer.selected_data = chosen

    def _draw(self, patches: Sequence[Patch]) -> None:
        """Clear the layer and draw anew: at once if little, else from the next turn on."""
        self._waiting, self._shown = list(patches), []
        if len(self.layer.data):
            self.layer.data = []
        if len(patches) > 1:
            self._turns.start()
        else:
            self._draw_some()

    def _draw_some(self) -> None:
        """Draw the next boxes; after the last of them, what is known about each."""
        now, self._waiting = self._waiting[:_BOXES_A_TURN], self._waiting[_BOXES_A_TURN:]
        if now:
            self.layer.add_rectangles(
                [rectangle(p) for p in now],
                edge_color=[REASON_COLORS[p.reason] for p in now],
                face_color="transparent",
                edge_width=_LINE_PX,
            )
            self._shown += now
            self._mark()
        if not self._waiting:
            self._turns.stop()
            self.layer.features = {
                "score": [p.score for p in self._shown],
                "reason": [str(p.reason) for p in self._shown],
            }


def rectangle(patch: Patch) -> NDArray[np.float64]:
    """Return the corners of a patch, (4, 3): slice, row, column."""
    box = patch.box
    rows, columns = (box.top - 0.5, box.bottom - 0.5), (box.left - 0.5, box.right - 0.5)
    corners = ((0, 0), (0, 1), (1, 1), (1, 0))
    return np.array([(patch.slice, rows[r], columns[c]) for r, c in corners], dtype=float)
