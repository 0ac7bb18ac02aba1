"""The four layers that show a case, and the one place that reads and writes them.

The session is the truth; layers are views of it. A change that the user makes to the human mask
is found by comparing slices, never by the payload of an event.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer
from napari.utils.colormaps import DirectLabelColormap
from numpy.typing import NDArray

from napari_crii._layers import grid_arguments
from napari_crii.classes import LabelClass
from napari_crii.patches import Patch
from napari_crii.session import Case, SliceStatus
from napari_crii.widgets._compat import camera_of
from napari_crii.widgets.patches_layer import PatchesLayer

HUMAN, PROPOSAL, DISAGREEMENT = "Human mask", "Proposal", "Disagreement"
_PAINTING = frozenset({"paint", "erase", "fill", "polygon"})


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
    begun, drawn
        Called with a slice index before the user's first stroke on a slice, and after strokes.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        case: Case,
        classes: Sequence[LabelClass],
        begun: Callable[[int], None],
        drawn: Callable[[], None],
    ) -> None:
        self._viewer = viewer
        self._case = case
        self._begun = begun
        self._drawn = drawn
        self._dragging = False
        grid = grid_arguments(case.volume)
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
        self.patches = PatchesLayer(case, grid)
        for layer in (self.disagreement, self.proposal, self.patches.layer, self.human):
            viewer.add_layer(layer)
        self.human.mouse_drag_callbacks.insert(0, self._on_drag)
        self.human.events.paint.connect(self._on_change)
        self.human.events.labels_update.connect(self._on_change)
        for index in range(case.shape[0]):
            self.show_slice(index)
        viewer.layers.selection.active = self.human

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
        return bool(dims.order[-3] == dims.ndim - 3 and dims.ndisplay == 2)

    def close(self) -> None:
        """Take the layers out of the viewer and forget them."""
        self.human.events.paint.disconnect(self._on_change)
        self.human.events.labels_update.disconnect(self._on_change)
        for layer in self.layers:
            if layer in self._viewer.layers:
                self._viewer.layers.remove(layer)

    def show_slice(self, index: int) -> None:
        """Bring one slice of every layer in line with the case; redraw only if it is on display."""
        touched = self._case.status(index) is not SliceStatus.UNTOUCHED
        proposed = self._case.proposals
        human = self._case.human.labels[index] if touched else 0
        changes = [
            write_slice(self.human, index, human),
            write_slice(self.proposal, index, 0 if touched else proposed.labels[index]),
            write_slice(self.disagreement, index, proposed.score[index]),
        ]
        if index == self.current_slice:
            for layer, changed in zip(
                (self.human, self.proposal, self.disagreement), changes, strict=True
            ):
                if changed:
                    layer.refresh()

    def go_to(self, patch: Patch, zoom: float) -> None:
        """Show a patch: its slice, centred, at `zoom` canvas pixels per mm."""
        row, column = patch.box.center
        between, rows, columns = self._case.volume.slice_spacing
        self._viewer.dims.set_point(self._viewer.dims.ndim - 3, patch.slice * between)
        camera = camera_of(self._viewer)
        camera.center = (0.0, row * rows, column * columns)
        camera.zoom = zoom

    def drawn_slices(self, indices: Iterable[int]) -> list[tuple[int, NDArray[Any]]]:
        """Return the slices (H, W) among `indices` whose layer differs from the case."""
        found = []
        for index in indices:
            drawn = np.asarray(self.human.data[index])
            touched = self._case.status(index) is not SliceStatus.UNTOUCHED
            known = self._case.human.labels[index] if touched else np.zeros_like(drawn)
            if not np.array_equal(drawn, known):
                found.append((index, drawn.copy()))
        return found

    def _on_drag(self, layer: Labels, event: object) -> Generator[None, None, None]:
        """Before a stroke, make the proposal its starting point; after it, report."""
        if str(layer.mode) not in _PAINTING or not self.slices_on_display:
            return
        self._dragging = True
        self._begun(self.current_slice)
        yield
        while getattr(event, "type", "") == "mouse_move":
            yield
        self._dragging = False
        self._drawn()

    def _on_change(self, _event: object = None) -> None:
        if not self._dragging:
            self._drawn()


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
