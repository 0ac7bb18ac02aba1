"""F8 with the layers: operations on a case that is shown in a napari viewer without a window.

Most operations are those of F8; every sixth one is done to the layers: strokes by mouse, paint by
a script on any slice, napari's own undo, renaming, taking layers out and putting them back, other
arrays in the place of the mask. What a brush leaves is told by a second Labels layer, to which
nobody listens. After every operation the layers must show what the shadow says.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
from napari.components import ViewerModel
from napari.layers import Labels
from napari.utils.interactions import (
    mouse_move_callbacks,
    mouse_press_callbacks,
    mouse_release_callbacks,
)
from numpy.typing import NDArray
from qtpy.QtCore import QCoreApplication

from napari_crii._layers import image_layer
from napari_crii.classes import numbered_classes
from napari_crii.widgets.drawing import take_drawn
from napari_crii.widgets.drawn_slices import Strokes
from napari_crii.widgets.layer_binding import LayerBinding
from tests.faults.f8_run import CLASSES, OPERATIONS, Run
from tests.faults.f8_shadow import SHAPE, State

LAYER_OPERATIONS = (
    *("stroke", "stroke", "stroke", "script", "script", "napari_undo", "napari_redo", "turn"),
    *("rename", "take_out", "put_back", "retype", "reshape"),
)
SPACING = (5.0, 0.7, 1.3)
KINDS = (np.uint8, np.int16, np.uint16, np.int32, np.int64)
Brush = Callable[[Labels], None]


@cache
def qt_application() -> QCoreApplication:
    """Return the application without which Qt complains of every timer; it needs no display.

    For a program of its own: a test session makes the one it needs.
    """
    return QCoreApplication.instance() or QCoreApplication([])


class LayerRun(Run):
    """A run whose current case is on display."""

    # Showing another scan takes longer than a hundred other operations.
    _names: ClassVar[tuple[str, ...]] = (
        tuple(n for n in OPERATIONS if n != "switch") * 4 + LAYER_OPERATIONS + ("switch",)
    )

    def __init__(self, folder: Path, seed: int) -> None:
        self.binding: LayerBinding | None = None
        super().__init__(folder, seed)

    @property
    def names(self) -> tuple[str, ...]:
        """The operations, each as often as it is likely."""
        return self._names

    def open(self) -> None:
        super().open()
        self.show()

    def show(self) -> None:
        """Put the current case on display."""
        if self.binding is not None:
            self.binding.close()
        self.viewer, self.beside = ViewerModel(), ViewerModel()
        data, arguments, _ = image_layer(self.scans[self.current])
        self.scan = self.viewer.add_image(data, **arguments)
        classes = numbered_classes(["a", "b", "c"])
        strokes = Strokes(self._begun, self._drawn, lambda name: None)
        self.binding = LayerBinding(self.viewer, self.case, classes, strokes)
        self.binding.restore()
        self.twin = self.beside.add_labels(np.zeros(SHAPE, dtype=np.uint8), scale=SPACING)
        self.twin.brush_size = self.binding.human.brush_size

    def fault(self) -> str:
        """Return how the case, or what the layers show of it, differs from the shadow."""
        for index in range(SHAPE[0]):
            self.layers.show_slice(index)
        touched = self.shadow.now[2, :, :1, :1] > 0
        pairs = (
            (self.layers.human, np.where(touched, self.shadow.now[0], 0)),
            (self.layers.proposal, np.where(touched, 0, self.shadow.proposed)),
        )
        for layer, expected in pairs:
            if not np.array_equal(layer.data, expected):
                return f"layer '{layer.name}' shows something else"
        return super().fault()

    @property
    def layers(self) -> LayerBinding:
        assert self.binding is not None
        return self.binding

    def close(self) -> None:
        self.layers.close()
        super().close()

    def do_switch(self) -> None:
        super().do_switch()
        self.show()

    def do_turn(self) -> None:
        (index,) = self._slices(1)
        self._turn(index)

    def do_stroke(self) -> None:
        """Press, drag and release in a mode of napari's, where the slice on display is."""
        self.do_put_back()
        index = self.layers.slices.current
        begun = not self.shadow.now[2, index, 0, 0]
        if begun:
            self.shadow.end(self.shadow.begin(index))
            self.shadow.taken = index
        mode = str(self.rng.choice(["paint", "erase", "fill"]))
        label, size = int(self.rng.integers(CLASSES + 1)), int(self.rng.integers(1, 4))
        dimensions = int(self.rng.choice([2, 2, 2, 3]))
        points = [self._point(index) for _ in range(int(self.rng.integers(1, 4)))]

        def brush(layer: Labels) -> None:
            layer.mode, layer.selected_label, layer.brush_size = mode, label, size
            layer.n_edit_dimensions = dimensions
            _drag(layer, points)
            layer.mode = "pan_zoom"

        self._compare(brush)
        for layer in (self.layers.human, self.twin):
            layer.n_edit_dimensions = 2

    def do_script(self) -> None:
        """Paint, fill or set voxels of any slice, as another plugin may."""
        (index,) = self._slices(1)
        point, label = self._point(index), int(self.rng.integers(CLASSES + 1))
        voxels = tuple(self.rng.integers(0, n, 3) for n in SHAPE)
        brushes: tuple[Brush, ...] = (
            lambda layer: layer.paint(point, label),
            lambda layer: layer.fill(point, label),
            lambda layer: layer.data_setitem(voxels, label),
        )
        self._compare(brushes[int(self.rng.integers(len(brushes)))])

    def do_napari_undo(self) -> None:
        self._compare(Labels.undo, everywhere=True)

    def do_napari_redo(self) -> None:
        self._compare(Labels.redo, everywhere=True)

    def do_rename(self) -> None:
        layers = self.layers.layers
        layers[int(self.rng.integers(len(layers)))].name = str(self.rng.choice(["a", "Proposal"]))

    def do_take_out(self) -> None:
        """Take a layer, or all of them, out of the viewer; operations go on without it."""
        inside = list(self.viewer.layers)
        if self.rng.random() < 0.2:
            self.viewer.layers.clear()
        elif inside:
            self.viewer.layers.remove(inside[int(self.rng.integers(len(inside)))])

    def do_put_back(self) -> None:
        if self.scan not in self.viewer.layers:
            self.viewer.layers.insert(0, self.scan)
        self.layers.restore()

    def do_retype(self) -> None:
        """Put an array of another type in the mask's place: the same labels, or others."""
        kind = KINDS[int(self.rng.integers(len(KINDS)))]
        if self.rng.random() < 0.5:
            other = self.layers.human.data.astype(kind)
        else:
            low = -1 if np.issubdtype(kind, np.signedinteger) else 0
            other = self.rng.integers(low, CLASSES + 1, SHAPE).astype(kind)
        self.layers.human.data = other.copy()
        self._expect(np.clip(other, 0, 255).astype(np.uint8))

    def do_reshape(self) -> None:
        """Put an array in the mask's place that is no mask of this scan."""
        shape = (SHAPE[0], SHAPE[2], SHAPE[1]) if self.rng.random() < 0.5 else (2, 5, 6)
        self.layers.human.data = np.ones(shape, dtype=np.uint8)

    def _compare(self, brush: Brush, everywhere: bool = False) -> None:
        """Do the same to the mask's layer and to the one beside it, which tells the result."""
        self._turn(self.layers.slices.current)
        touched = self.shadow.now[2, :, :1, :1] > 0
        self.twin.data[...] = np.where(touched, self.shadow.now[0], 0)
        self.twin.refresh()
        brush(self.twin)
        expected = np.array(self.twin.data)
        brush(self.layers.human)
        take_drawn(self.case, self.layers, everywhere)
        self._expect(expected)

    def _expect(self, layer: State) -> None:
        """Draw on the shadow what stands on the layer; on an empty slice, over the proposal."""
        slices = {}
        for index, drawn in enumerate(layer):
            shown = self.shadow.shown(index)
            if not self.shadow.now[2, index, 0, 0]:
                drawn = np.where(drawn, drawn, shown)
            slices[index] = np.where(drawn < CLASSES, drawn, shown)
        self.shadow.draw(slices, self.locked)

    def _begun(self, index: int) -> None:
        if self.case.take(index) is not None:
            self.layers.show_slice(index)

    def _drawn(self) -> None:
        for index in take_drawn(self.case, self.layers).slices:
            self.layers.show_slice(index)

    def _turn(self, index: int) -> None:
        for viewer in (self.viewer, self.beside):
            viewer.dims.set_point(viewer.dims.ndim - 3, index * SPACING[0])

    def _point(self, index: int) -> tuple[int, int, int]:
        return (index, int(self.rng.integers(SHAPE[1])), int(self.rng.integers(SHAPE[2])))


class _MouseEvent(SimpleNamespace):
    """What napari asks of an event; it puts the later events of a drag into the first one."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "__wrapped__":
            self.__dict__.update(vars(value))
        else:
            super().__setattr__(name, value)


def _drag(layer: Labels, points: list[tuple[int, int, int]]) -> None:
    """Press the left button at the first point, move through the others, release at the last."""
    events: list[Any] = [_event("mouse_press", points[0])]
    events += [_event("mouse_move", point) for point in points[1:]]
    mouse_press_callbacks(layer, events[0])
    for event in events[1:]:
        mouse_move_callbacks(layer, event)
    mouse_release_callbacks(layer, _event("mouse_release", points[-1]))


def _event(kind: str, point: tuple[int, int, int]) -> Any:
    place: NDArray[np.float64] = np.multiply(point, SPACING)
    facts = {"button": 1, "position": tuple(place), "modifiers": (), "is_dragging": True}
    return _MouseEvent(type=kind, **facts)
