"""The patches to check, as one Shapes layer.

Rebuilding rectangles is the dearest thing that the window's thread does here (tens of ms), so it
happens only when the queue is new, and a few boxes at a time, with turns of the event loop between
them, and is shown when all stand; a patch that is done is removed, the current one is selected.
The colour tells the reason: drawing words on the canvas would stop the window for 0.2 s at first.
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
_BOXES_A_TURN = 5
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
        self._wanted: list[Patch] = []
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
        self._turns.timeout.connect(self._step)

    @property
    def drawing(self) -> bool:
        """Whether boxes are still on their way, in or out."""
        return self._turns.isActive()

    def close(self) -> None:
        """Draw no more."""
        self._turns.stop()

    def warm_up(self, index: int) -> bool:
        """Draw one small box on slice `index`, then remove it; False: done.

        The first box of a layer costs 0.1 s: it is paid while the scan opens, not while the
        user works.
        """
        warm = self._warm
        self._warm = True
        self.show(() if warm else (Patch(index, Box(0, 0, 1, 1), 0.0, Reason.REGION),), None)
        self._step()
        return not warm

    def show(self, patches: Sequence[Patch], current: Patch | None) -> None:
        """Bring the boxes in line, a few in each turn of the event loop; mark the current one."""
        self._wanted, self._current = list(patches), current
        if self._shown == self._wanted:
            self._turns.stop()
            self._mark()
        else:
            self._turns.start()

    def _step(self) -> None:
        """Take out what is done, or draw some of what is new: one of both in a turn."""
        # Each word of it would paint the window: the layer speaks when all stands. Its picture in
        # the list of layers costs 8 ms, and follows with the next slice.
        with self.layer.block_thumbnail_update():
            with self.layer.events.blocker_all():
                self._change()
            if self._shown != self._wanted:
                return
            self._turns.stop()
            self.layer.refresh(thumbnail=False)
            self._mark()
            self._describe()

    def _change(self) -> None:
        wanted = set(self._wanted)
        kept = [patch for patch in self._shown if patch in wanted]
        if kept != self._wanted[: len(kept)]:
            self.layer.data = []
            self._shown = []
        elif kept != self._shown:
            gone = {i for i, patch in enumerate(self._shown) if patch not in wanted}
            self.layer.selected_data = gone
            self.layer.remove_selected()
            self._shown = kept
        else:
            self._draw(self._wanted[len(kept) :][:_BOXES_A_TURN])

    def _draw(self, patches: Sequence[Patch]) -> None:
        if patches:
            self.layer.add_rectangles(
                [rectangle(p) for p in patches],
                edge_color=[REASON_COLORS[p.reason] for p in patches],
                face_color="transparent",
                edge_width=_LINE_PX,
            )
            self._shown += patches

    def _mark(self) -> None:
        """Select the current patch, once it is drawn."""
        chosen = {self._shown.index(self._current)} if self._current in self._shown else set()
        if set(self.layer.selected_data) != chosen:
            self.layer.selected_data = chosen

    def _describe(self) -> None:
        """Write down what is known about each patch."""
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
