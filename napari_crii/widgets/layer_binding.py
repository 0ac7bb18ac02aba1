"""The four layers that show a case, and the one place that reads and writes them.

The session is the truth; layers are views of it. A change that the user makes to the human mask
is found by comparing slices, never by the payload of an event.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer
from napari.utils.colormaps import DirectLabelColormap
from numpy.typing import NDArray
from qtpy.QtCore import QTimer

from napari_crii._layers import grid_arguments
from napari_crii.classes import LabelClass
from napari_crii.patches import Patch
from napari_crii.session import Case, SliceStatus
from napari_crii.volume import Volume
from napari_crii.widgets import garbage
from napari_crii.widgets._compat import camera_of
from napari_crii.widgets.layers import VIEW_KEY
from napari_crii.widgets.patches_layer import PatchesLayer

HUMAN, PROPOSAL, DISAGREEMENT = "Human mask", "Proposal", "Disagreement"
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
        self._drawing_on: int | None = None
        self._announced = False
        # Whether a stroke has just been reported that napari's history is about to announce too.
        self._reported = False
        self._everywhere = False
        grid = grid_arguments(case.volume)
        grid["metadata"] = {**grid["metadata"], VIEW_KEY: True}
        zeros = np.zeros(case.shape, dtype=case.human.labels.dtype)
        colors = class_colormap(classes)
        self.disagreement = Image(
            np.zeros(case.shape, dtype=np.uint8),
            name=DISAGREEMENT,
            colormap="inferno",
            blending="additive",
            opacity=0.45,
            contrast_limits=(0, 255),
            **grid,
        )
        self.proposal = Labels(zeros.copy(), name=PROPOSAL, colormap=colors, opacity=0.9, **grid)
        self.proposal.contour = 2
        self.proposal.editable = False
        self.human = Labels(zeros, name=HUMAN, colormap=colors, opacity=0.45, **grid)
        self.human.brush_size = 8
        # A brush on the layer of a project that is open for reading only would paint for nothing.
        self.human.editable = not case.read_only
        self._array = self.human.data
        self.patches = PatchesLayer(case, grid)
        self._stale: set[Layer] = set()
        self._turn = _once(self._draw_anew)
        self._waiting = list(self.layers)
        self.human.mouse_drag_callbacks.insert(0, self._on_drag)
        self.human.events.paint.connect(self._on_paint)
        self.human.events.labels_update.connect(self._on_update)
        self.human.events.data.connect(self._on_data)
        viewer.layers.events.removed.connect(self._on_removed)
        for index in range(case.shape[0]):
            if case.proposals.has(index) or case.status(index) is not SliceStatus.UNTOUCHED:
                self.show_slice(index)

    @property
    def volume(self) -> Volume:
        """The scan."""
        return self._case.volume

    def add_next(self) -> bool:
        """Add the next of our layers to the viewer, from the bottom up; False: all are ready."""
        if self._waiting:
            self._viewer.add_layer(self._waiting.pop())
            if not self._waiting:
                self._viewer.layers.selection.active = self.human
            return True
        if self.patches.warm_up(self.current_slice):
            return True
        garbage.set_aside()
        return False

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers, topmost first."""
        return (self.human, self.patches.layer, self.proposal, self.disagreement)

    @property
    def current_slice(self) -> int:
        """Index of the slice on display."""
        point = self.human.world_to_data(self._viewer.dims.point[-3:])
        return int(np.clip(round(point[0]), 0, self._case.shape[0] - 1))

    @property
    def slices_on_display(self) -> bool:
        """Whether the viewer steps through slices (and not through rows, or shows 3-D)."""
        dims = self._viewer.dims
        return bool(dims.ndisplay == 2 and dims.ndim >= 3 and dims.order[-3] == dims.ndim - 3)

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
        garbage.take_back()
        self._turn.stop()
        self.patches.close()
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        self.human.events.paint.disconnect(self._on_paint)
        self.human.events.labels_update.disconnect(self._on_update)
        self.human.events.data.disconnect(self._on_data)
        if self._on_drag in self.human.mouse_drag_callbacks:
            self.human.mouse_drag_callbacks.remove(self._on_drag)

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
            write_slice(self.disagreement, index, proposed.score[index]),
        ]
        if index == self.current_slice:
            layers = (self.human, self.proposal, self.disagreement)
            self._stale |= {layer for layer, new in zip(layers, changes, strict=True) if new}
            self._turn.start(0)

    def _draw_anew(self) -> None:
        """Draw what is not as the case has it; thumbnails and extents can wait for a scroll."""
        stale, self._stale = self._stale, set()
        for layer in stale:
            layer.refresh(thumbnail=False, highlight=False, extent=False)

    def go_to(self, patch: Patch, zoom: float) -> None:
        """Show a patch: its slice, centred, at `zoom` canvas pixels per mm."""
        place = np.multiply((patch.slice, *patch.box.center), self._case.volume.slice_spacing)
        self.turn_to(patch.slice)
        dims, camera = self._viewer.dims, camera_of(self._viewer)
        # The canvas counts along displayed axes, which may be swapped.
        vertical, horizontal = (place[axis - dims.ndim] for axis in dims.order[-2:])
        camera.center = (0.0, float(vertical), float(horizontal))
        camera.zoom = zoom

    def turn_to(self, index: int) -> None:
        """Show a slice."""
        dims = self._viewer.dims
        if dims.ndim >= 3:
            dims.set_point(dims.ndim - 3, index * self._case.volume.slice_spacing[0])

    def drawn_slices(self, everywhere: bool = False) -> list[tuple[int, NDArray[Any]]]:
        """Return the slices (H, W) whose layer differs from the case, as the user means them.

        Looked at are those that a stroke can have reached: the one on display and the one where
        it began; all of them where strokes run through slices, where something else than a
        stroke has painted, where the whole array was replaced, or on request: napari's own undo
        changes hidden slices without a word.
        """
        self._reported = False
        found = self._differing(everywhere)
        if found:
            self._everywhere = False
        return found

    def _differing(self, everywhere: bool = False) -> list[tuple[int, NDArray[Any]]]:
        through = self.human.n_edit_dimensions > 2 or not self.slices_on_display
        through = through or everywhere or self._everywhere
        if self.human.data is not self._array:
            through = self._take_array(self.human.data) or through
        current = self.current_slice
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
        self.human.data = self._array
        return bool(fits)

    def _drawn(self, index: int) -> NDArray[Any] | None:
        """Return slice `index` as drawn, None if it is as the case has it."""
        drawn = np.asarray(self.human.data[index])
        if self._case.status(index) is not SliceStatus.UNTOUCHED:
            return None if np.array_equal(drawn, self._case.human.labels[index]) else drawn.copy()
        # The layer is empty here and the proposal stands beside it: strokes go on top.
        return np.where(drawn, drawn, self._case.proposals.labels[index]) if drawn.any() else None

    def _on_drag(self, layer: Labels, event: Any) -> Generator[None, None, None]:
        """Before a stroke, make the proposal its starting point; after it, report."""
        mode = str(layer.mode)
        if mode not in _PAINTING or not self.slices_on_display:
            return
        index = self.current_slice
        self._strokes.begun(index)
        # The right button of the brush encircles: a stroke that goes on when it is released.
        if mode == "paint" and event.button == 2:
            return
        self._drawing_on = index
        yield
        while event.type == "mouse_move":
            yield
        differs = bool(self._differing())
        self._strokes.drawn()
        self._drawing_on = None
        self._reported = differs

    def _on_paint(self, _event: object = None) -> None:
        """Report what is entered into napari's history; sometimes that precedes the voxels."""
        if self._drawing_on is None and not self._reported:
            self._everywhere = True
        self._reported = False
        self._announced = not self._differing()
        self._report()

    def _on_update(self, _event: object = None) -> None:
        if self._announced:
            self._announced = False
            self._report()

    def _on_data(self, _event: object = None) -> None:
        if self.human.data is not self._array:
            self._report()

    def _report(self) -> None:
        """Report a change, but of a stroke in the making only its end."""
        if self._drawing_on is None:
            self._strokes.drawn()

    def _on_removed(self, event: Any) -> None:
        if event.value in self.layers:
            self._strokes.lost(event.value.name)


def _once(act: Callable[[], None]) -> QTimer:
    """Return a timer that does something once when it is started."""
    timer = QTimer()
    timer.setSingleShot(True)
    timer.timeout.connect(act)
    return timer


def write_slice(layer: Labels | Image, index: int, values: NDArray[Any] | int) -> bool:
    """Write a slice into a layer's own array; whether anything changed."""
    data = layer.data
    if np.array_equal(data[index], np.broadcast_to(values, data[index].shape)):
        return False
    data[index] = values
    return True


def class_colormap(classes: Sequence[LabelClass]) -> DirectLabelColormap:
    """Return the colours of the classes, for a Labels layer."""
    colors: dict[int | None, str] = {None: "#ffffff", 0: "transparent"}
    return DirectLabelColormap(color_dict=colors | {c.id: c.color for c in classes})
