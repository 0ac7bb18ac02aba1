"""The layers of a case in a viewer, and the one place that writes them.

The session is the truth; layers are views of it. What the user changes on the human mask is found
by `drawn`, by comparing slices.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from napari.components import ViewerModel
from napari.layers import Layer
from qtpy.QtCore import QTimer

from napari_crii.classes import LabelClass
from napari_crii.session import Case, SliceStatus
from napari_crii.widgets import garbage
from napari_crii.widgets.background import once
from napari_crii.widgets.brush import BrushCircle
from napari_crii.widgets.case_layers import class_colormap, make_layers, view_grid, write_slice
from napari_crii.widgets.drawn_slices import DrawnSlices, Strokes
from napari_crii.widgets.maps import MapKind, map_of
from napari_crii.widgets.patches_layer import PatchesLayer
from napari_crii.widgets.review import outwards
from napari_crii.widgets.slices_in_view import SlicesInView

STAGE_MS = 15
MAPS_A_TURN = 16


class LayerBinding:
    """Show a case in a viewer, and report what the user draws.

    Parameters
    ----------
    viewer
        Where the layers live.
    case
        What they show.
    classes
        Names and colours.
    strokes
        Who hears what the user does to the layers.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        case: Case,
        classes: Sequence[LabelClass],
        strokes: Strokes,
    ) -> None:
        self._viewer = viewer
        self._case = case
        self._strokes = strokes
        self.human, self.proposal, self.disagreement = make_layers(case, classes)
        self.patches = PatchesLayer(case.shape, view_grid(case.volume))
        self.slices = SlicesInView(viewer, self.human, case.volume)
        self.drawn = DrawnSlices(case, self.human, self.slices, strokes)
        self._stale: set[Layer] = set()
        self._turn = once(self._draw_anew)
        self._map = MapKind.EXPECTED
        self._other_map: list[int] = []
        self._mapping = once(self._draw_maps)
        self._mapping.setInterval(STAGE_MS)
        self._circle = BrushCircle(viewer)
        self._waiting: list[Callable[[], object]] = [
            *(partial(viewer.add_layer, layer) for layer in reversed(self.layers)),
            self._select,
            self._circle.show,
            self._circle.hide,
        ]
        self._released = False
        viewer.layers.events.removed.connect(self._on_removed)
        for index in range(case.shape[0]):
            if case.proposals.has(index) or case.status(index) is not SliceStatus.UNTOUCHED:
                self.show_slice(index)

    def add_in_turns(self, then: Callable[[], None]) -> None:
        """Add one layer per turn of the event loop: four at once would stop the window.

        The circle of the brush is built then, too: otherwise the first stroke waits for it.
        """
        if self._released:
            return
        if self._add_next():
            QTimer.singleShot(STAGE_MS, lambda: self.add_in_turns(then))
            return
        then()

    def _add_next(self) -> bool:
        """Add the next of our layers to the viewer, from the bottom up; False: all are ready."""
        if self._waiting:
            self._waiting.pop(0)()
            return True
        garbage.set_aside()
        return False

    def _select(self) -> None:
        self._viewer.layers.selection.active = self.human

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers, topmost first."""
        return (self.human, self.patches.layer, self.proposal, self.disagreement)

    def recolor(self, classes: Sequence[LabelClass]) -> None:
        """Show the classes in these colours from here on."""
        for layer in (self.human, self.proposal):
            layer.colormap = class_colormap(classes)

    def restore(self) -> None:
        """Put layers of ours that are not in the viewer (any more) there."""
        for layer in reversed(self.layers):
            if layer not in self._viewer.layers:
                self._viewer.add_layer(layer)

    def release(self) -> None:
        """Leave the layers as they are and no longer listen to them."""
        self._released = True
        self._circle.hide()
        garbage.take_back()
        self._turn.stop()
        self._mapping.stop()
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        self.drawn.close()

    def close(self) -> None:
        """Take the layers out of the viewer and forget them."""
        self.release()
        for layer in self.layers:
            if layer in self._viewer.layers:
                self._viewer.layers.remove(layer)

    def show_slice(self, index: int) -> None:
        """Bring one slice of every layer in line with the case; redraw only if it is on display.

        It is drawn in the next turn of the event loop: a brush does not wait for it.
        """
        touched = self._case.status(index) is not SliceStatus.UNTOUCHED
        proposed = self._case.proposals
        human = self._case.human.labels[index] if touched else 0
        changes = [
            write_slice(self.human, index, human),
            write_slice(self.proposal, index, 0 if touched else proposed.labels[index]),
            write_slice(self.disagreement, index, map_of(self._map, proposed, index)),
        ]
        if index == self.slices.current:
            layers = (self.human, self.proposal, self.disagreement)
            self._stale |= {layer for layer, new in zip(layers, changes, strict=True) if new}
            self._turn.start(0)

    def show_map(self, kind: MapKind) -> None:
        """Show another map of all slices: at once on display, of the others soon."""
        if kind is self._map:
            return
        self._map = kind
        self.disagreement.contrast_limits = (0, kind.brightest)
        self._other_map = outwards(list(range(self._case.shape[0])), self.slices.current)
        self._draw_maps()

    def _draw_maps(self) -> None:
        """Bring some slices in line with the map that is chosen; the rest in later turns."""
        some, self._other_map = self._other_map[:MAPS_A_TURN], self._other_map[MAPS_A_TURN:]
        for index in some:
            shown = map_of(self._map, self._case.proposals, index)
            if write_slice(self.disagreement, index, shown) and index == self.slices.current:
                self._stale.add(self.disagreement)
                self._turn.start(0)
        if self._other_map:
            self._mapping.start()

    def _draw_anew(self) -> None:
        """Draw what is not as the case has it; thumbnails and extents can wait for a scroll."""
        stale, self._stale = self._stale, set()
        for layer in stale:
            layer.refresh(thumbnail=False, highlight=False, extent=False)

    def _on_removed(self, event: Any) -> None:
        if event.value in self.layers:
            self._strokes.lost(event.value.name)
