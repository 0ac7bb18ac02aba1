"""What the user draws on the human mask, found by comparing slices with the case.

The payload of napari's events is never read: some changes come without any, and undo and redo of
napari's own come without a word about where. An event only tells when to compare.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray

from napari_crii.session import Case, SliceStatus
from napari_crii.widgets.slices_in_view import SlicesInView

_PAINTING = frozenset({"paint", "erase", "fill", "polygon"})


@dataclass(frozen=True)
class Strokes:
    """Who hears what the user does to the layers.

    Attributes
    ----------
    begun
        Called with a slice index before the first stroke on a slice.
    drawn
        Called after strokes.
    lost
        Called with the name of a layer of ours that the user took out of the viewer.
    """

    begun: Callable[[int], None]
    drawn: Callable[[], None]
    lost: Callable[[str], None]


class DrawnSlices:
    """Listens to the layer of the human mask, and finds where it differs from the case.

    Parameters
    ----------
    case
        What the layer shows.
    layer
        The human mask, (S, H, W).
    slices
        Which slice is on display.
    strokes
        Who hears of strokes.
    """

    def __init__(self, case: Case, layer: Labels, slices: SlicesInView, strokes: Strokes) -> None:
        self._case = case
        self._layer = layer
        self._slices = slices
        self._strokes = strokes
        self._array = layer.data
        self._drawing_on: int | None = None
        self._everywhere = False
        self._found = False
        self._hears_moves = False
        layer.mouse_drag_callbacks.insert(0, self._on_press)
        layer.events.paint.connect(self._on_paint)
        layer.events.data.connect(self._on_data)

    def close(self) -> None:
        """No longer listen to the layer."""
        self._layer.events.paint.disconnect(self._on_paint)
        self._hear_moves(False)
        self._layer.events.data.disconnect(self._on_data)
        if self._on_press in self._layer.mouse_drag_callbacks:
            self._layer.mouse_drag_callbacks.remove(self._on_press)

    def find(self, everywhere: bool = False) -> list[tuple[int, NDArray[Any]]]:
        """Return the slices (H, W) whose layer differs from the case, as the user means them.

        Looked at are those that a stroke can have reached: the one on display and the one where
        it began; all of them where strokes run through slices, where something else than a
        stroke has painted, where the whole array was replaced, or on request: napari's own undo
        changes hidden slices without a word.
        """
        found = self._differing(everywhere)
        self._found = bool(found)
        if found:
            self._everywhere = False
        return found

    def _differing(self, everywhere: bool = False) -> list[tuple[int, NDArray[Any]]]:
        through = self._layer.n_edit_dimensions > 2 or not self._slices.on_display
        through = through or everywhere or self._everywhere
        if self._layer.data is not self._array:
            through = self._take_array(self._layer.data) or through
        current = self._slices.current
        reached = {current, current if self._drawing_on is None else self._drawing_on}
        looked_at = range(self._case.shape[0]) if through else sorted(reached)
        pairs = ((index, self._drawn(index)) for index in looked_at)
        return [(index, drawn) for index, drawn in pairs if drawn is not None]

    def _take_array(self, data: Any) -> bool:
        """Put the layer's own array back, with the labels of the one that took its place.

        What is no mask of this scan is left out: False.
        """
        fits = data.shape == self._array.shape
        if fits:
            largest = np.iinfo(self._array.dtype).max
            self._array[...] = np.clip(np.asarray(data), 0, largest)
        self._layer.data = self._array
        return bool(fits)

    def _drawn(self, index: int) -> NDArray[Any] | None:
        """Return slice `index` as drawn, None if it is as the case has it."""
        drawn = np.asarray(self._layer.data[index])
        if self._case.status(index) is not SliceStatus.UNTOUCHED:
            return None if np.array_equal(drawn, self._case.human.labels[index]) else drawn.copy()
        # The layer is empty here and the proposal stands beside it: strokes go on top.
        return np.where(drawn, drawn, self._case.proposals.labels[index]) if drawn.any() else None

    def _on_press(self, layer: Labels, event: Any) -> None:
        """Before a stroke, make the proposal its starting point, and remember where it begins.

        It ends with its entry in napari's history. To follow it move by move, as callbacks of
        napari may, would cost each of them.
        """
        mode = str(layer.mode)
        if mode not in _PAINTING or not self._slices.on_display:
            return
        self._hear_moves(False)
        index = self._slices.current
        self._strokes.begun(index)
        # Polygons, and the right button of the brush, which encircles, go on when it is released.
        if mode != "polygon" and not (mode == "paint" and event.button == 2):
            self._drawing_on = index

    def _on_paint(self, _event: object = None) -> None:
        """Report what is entered into napari's history; sometimes that precedes the voxels."""
        found = self._drawing_on is not None and self._report()
        self._drawing_on = None
        if not found:
            # Nobody's stroke, or one that was taken before it ended: look everywhere.
            self._everywhere = True
            if not self._report():
                # Only from here on: hearing of every move of a brush would cost each of them.
                self._hear_moves(True)

    def _on_update(self, _event: object = None) -> None:
        self._hear_moves(False)
        self._report()

    def _hear_moves(self, wanted: bool) -> None:
        """Listen to partial updates of the layer, or no more; asking napari costs as much."""
        if wanted != self._hears_moves:
            self._hears_moves = wanted
            event = self._layer.events.labels_update
            (event.connect if wanted else event.disconnect)(self._on_update)

    def _on_data(self, _event: object = None) -> None:
        if self._layer.data is not self._array:
            self._report()

    def _report(self) -> bool:
        """Report a change; return whether there was any."""
        self._found = False
        self._strokes.drawn()
        return self._found
