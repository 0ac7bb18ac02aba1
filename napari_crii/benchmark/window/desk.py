"""A window to draw in with the mouse: the human mask of a case beside a bare labels layer.

The case is one of a project on the disk, with a proposal on every slice; the other layer has the
same size, and nobody listens to it.
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import napari
import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray
from qtpy.QtCore import QCoreApplication

from napari_crii.benchmark.window import mouse
from napari_crii.benchmark.window.event_loop import summed, timed, turns
from napari_crii.classes import numbered_classes
from napari_crii.demo import DemoTask
from napari_crii.session import Case, Proposal
from napari_crii.volume import Volume
from napari_crii.widgets.app import open_assistant
from napari_crii.widgets.assistant import CriiAssistant
from napari_crii.widgets.layer_binding import LayerBinding
from napari_crii.widgets.wish import Wish

_MOVE_SECONDS = 0.02
_SETTLING_SECONDS = 0.15

# What a whole stroke took, as `Spent`, and seconds on the wall in which its mouse events were
# handled.
Stroke = tuple[float, float, float]


class Desk:
    """A window with the assistant, a case of a project, and a labels layer that nobody listens to.

    Attributes
    ----------
    layers
        On which strokes go: ``bare`` and ``ours``.
    """

    def __init__(self, scan: Volume, folder: Path) -> None:
        self._viewer = napari.Viewer(title="napari-crii benchmark")
        self._assistant: CriiAssistant | None = None
        self._released = 0.0
        try:
            ours = self._open(scan, folder)
            place = {name: getattr(ours, name) for name in ("scale", "units", "axis_labels")}
            bare = self._viewer.add_labels(np.zeros_like(ours.data), name="bare", **place)
        except BaseException:
            self.close()
            raise
        self.layers: dict[str, Labels] = {"bare": bare, "ours": ours}
        for layer in self.layers.values():
            layer.mode, layer.brush_size, layer.selected_label = "paint", 10, 1
        self._viewer.reset_view()
        turns(_SETTLING_SECONDS)
        window, self._canvas = mouse.canvas_of(self._viewer)
        # Without a graphics card, painting takes tens of ms whatever is painted, for the window is
        # put together anew: the difference would drown.
        window.setUpdatesEnabled(False)

    def close(self) -> None:
        """Close the project, then the window."""
        if self._assistant is not None:
            self._assistant.shut_down()
        self._viewer.close()
        QCoreApplication.processEvents()

    def prepare(self, name: str, index: int) -> None:
        """Turn to a slice and make a layer the one that is painted on.

        It becomes the topmost: napari tells its list of layers of every move of a brush, which
        takes more time for a layer whose row is in sight.
        """
        layers = self._viewer.layers
        if self._viewer.dims.current_step[0] != index:
            self._viewer.dims.set_current_step(0, index)
        layers.move(layers.index(self.layers[name]), len(layers))
        layers.selection.active = self.layers[name]
        turns(_SETTLING_SECONDS, self._is_saved)

    def draw(self, path: NDArray[np.float64]) -> Stroke:
        """Press, drag along a path (points, 2) in parts of the canvas, and release."""
        canvas = self._canvas
        handled = [timed(lambda: mouse.press(canvas, path[0]))]
        after = [turns(_MOVE_SECONDS)]
        for point in path[1:]:
            handled.append(timed(partial(mouse.move, canvas, point, pressed=True)))
            after.append(turns(_MOVE_SECONDS))
        self._released = time.time()
        handled.append(timed(lambda: mouse.release(canvas, path[-1])))
        after.append(turns(_SETTLING_SECONDS, self._is_saved))
        return (*summed([*handled, *after]), summed(handled)[0])

    @property
    def acknowledged(self) -> float:
        """Seconds from when the button of the last stroke went up until the disk had it."""
        project = None if self._assistant is None else self._assistant.controller.sitting.project
        assert project is not None
        return project.saved.at - self._released

    def _open(self, scan: Volume, folder: Path) -> Labels:
        classes = numbered_classes(["class 1", "class 2"])
        task = DemoTask(scan, classes, None)
        self._assistant = assistant = open_assistant(self._viewer, task)
        controller = assistant.controller
        controller.sitting.open(Wish(folder, "benchmark", classes), controller.use_project)
        turns(done=lambda: not controller.sitting.busy)
        assistant.begin()
        turns(done=lambda: controller.state.has_case)
        assert controller.case is not None
        assert controller.binding is not None
        _propose_all(controller.case, controller.binding)
        return controller.binding.human

    def _is_saved(self) -> bool:
        project = None if self._assistant is None else self._assistant.controller.sitting.project
        return project is None or project.saved.number == project.journal.number


def _propose_all(case: Case, binding: LayerBinding) -> None:
    """Put a proposal on every slice, as an engine would."""
    labels = np.zeros(case.shape[1:], dtype=np.uint8)
    labels[tuple(slice(n // 4, n // 2) for n in labels.shape)] = 2
    score = labels * 90
    for index in range(case.shape[0]):
        case.publish(Proposal(index, labels, score, (), "benchmark"))
        binding.show_slice(index)
