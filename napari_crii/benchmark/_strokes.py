"""What a brush stroke costs the window's thread, over the same stroke on a bare napari layer.

One window shows a case of a project on the disk, with a proposal on every slice, and a labels layer
of the same size that nobody listens to. Strokes on the two alternate.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import napari
import numpy as np
import qtpy
from napari.layers import Labels
from numpy.typing import NDArray
from qtpy.QtCore import QCoreApplication, QEvent, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication, QWidget

from napari_crii.classes import numbered_classes
from napari_crii.demo import DemoTask
from napari_crii.errors import CriiError
from napari_crii.session import Case, Proposal
from napari_crii.volume import Volume
from napari_crii.widgets.app import open_assistant
from napari_crii.widgets.assistant import CriiAssistant
from napari_crii.widgets.layer_binding import LayerBinding
from napari_crii.widgets.wish import Wish

SHAPE = (300, 512, 512)
STROKES_A_ROUND = 5
_STROKES_A_SLICE = 5
_MOVES = 12
_MOVE_SECONDS = 0.02
_SETTLING_SECONDS = 0.15
_POLL_SECONDS = 0.005
_PATIENCE_SECONDS = 120.0

Told = Callable[[int, int], None]
Kinds = Mapping[str, Mapping[str, float]]
Done = Callable[[], bool]
# Seconds on the wall without waiting, and seconds that this thread computed.
Spent = tuple[float, float]
# The same of a whole stroke, and seconds on the wall in which its mouse events were handled.
Stroke = tuple[float, float, float]


def stroke_latency(
    volume: Volume | None = None,
    rounds: int = 20,
    told: Told = lambda done, total: None,
) -> dict[str, Any]:
    """Draw the same strokes on a bare labels layer and on the human mask, by turns.

    Counted is what the window's thread spends from the press of the mouse on until everything that
    the stroke set off is over, the acknowledgement from the disk included; waiting and painting the
    canvas are not. Every fifth stroke is the first one on its slice and hands the proposal over to
    the human, on three layers; those are told apart.

    Parameters
    ----------
    volume
        The scan; without it noise of 300 slices of 512 x 512.
    rounds
        Of five strokes on each of the two layers.

    Returns
    -------
    dict
        ``stroke_p95_ms``, ``bare_stroke_p95_ms`` and their difference ``stroke_extra_ms``;
        ``stroke_extra_handled_ms``, of the handling of the stroke's mouse events alone, which is
        what keeps the brush behind the hand; ``first_stroke_…``, the same of first strokes;
        ``strokes``, each kind in more figures, with what the thread itself computed
        (``…_cpu_ms``).

    Raises
    ------
    CriiError
        If the assistant does not get ready, or a stroke leaves nothing.
    """
    scan = _noise() if volume is None else volume
    with tempfile.TemporaryDirectory(prefix="napari-crii-") as folder:
        desk = Desk(scan, Path(folder, "project"))
        with closing(desk):
            spent = _alternate(desk, scan.slice_count, rounds * STROKES_A_ROUND, told)
    found = _by_kind(spent)
    return {
        "stroke_p95_ms": found["ours"]["p95_ms"],
        "bare_stroke_p95_ms": found["bare"]["p95_ms"],
        "stroke_extra_ms": _extra(found, "p95_ms"),
        "stroke_extra_handled_ms": _extra(found, "p95_handled_ms"),
        "first_stroke_extra_ms": _extra(found, "p95_ms", ", first"),
        "first_stroke_extra_handled_ms": _extra(found, "p95_handled_ms", ", first"),
        "strokes": found,
        "layer": [scan.slice_count, *scan.slices().shape[1:3]],
        "qt": f"{qtpy.API_NAME} {qtpy.QT_VERSION}",
    }


def _extra(found: Kinds, figure: str, kind: str = "") -> float:
    return round(found[f"ours{kind}"][figure] - found[f"bare{kind}"][figure], 3)


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
        title = self._viewer.title
        # Found by its window: napari hands the canvas out in no public way.
        self._canvas = next(
            widget
            for window in QApplication.topLevelWidgets()
            if window.windowTitle() == title
            for widget in window.findChildren(QWidget)
            if "CanvasBackend" in type(widget).__name__
        )
        # The scene is the same for both layers, so is painting it: tens of ms without a graphics
        # card, in which the difference would drown.
        self._canvas.setUpdatesEnabled(False)

    def close(self) -> None:
        """Close the project, then the window."""
        if self._assistant is not None:
            self._assistant.shut_down()
        self._viewer.close()
        QCoreApplication.processEvents()

    def prepare(self, name: str, index: int) -> None:
        """Turn to a slice and make a layer the one that is painted on."""
        if self._viewer.dims.current_step[0] != index:
            self._viewer.dims.set_current_step(0, index)
        self._viewer.layers.selection.active = self.layers[name]
        turns(_SETTLING_SECONDS, self._is_saved)

    def draw(self, path: NDArray[np.float64]) -> Stroke:
        """Press, drag along a path (points, 2) in parts of the canvas, and release."""
        canvas = self._canvas
        points = [QPointF(x * canvas.width(), y * canvas.height()) for x, y in path]
        left, nothing = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
        press, release = QEvent.Type.MouseButtonPress, QEvent.Type.MouseButtonRelease
        handled = [_send(canvas, press, points[0], left, left)]
        after = [turns(_MOVE_SECONDS)]
        for point in points[1:]:
            handled.append(_send(canvas, QEvent.Type.MouseMove, point, nothing, left))
            after.append(turns(_MOVE_SECONDS))
        handled.append(_send(canvas, release, points[-1], left, nothing))
        after.append(turns(_SETTLING_SECONDS, self._is_saved))
        return (*_sum([*handled, *after]), _sum(handled)[0])

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


def _alternate(desk: Desk, slices: int, count: int, told: Told) -> dict[str, list[Stroke]]:
    """Return what each of `count` strokes took, by layer."""
    rng = np.random.default_rng(0)
    spent: dict[str, list[Stroke]] = {name: [] for name in desk.layers}
    # The first strokes of all pay for what is imported and compiled once.
    for number in range(-_STROKES_A_SLICE, count):
        path = _path(rng)
        # By turns each of the two goes first.
        for name in sorted(spent, reverse=bool(number % 2)):
            desk.prepare(name, (number // _STROKES_A_SLICE + 1) % slices)
            took = desk.draw(path)
            if number >= 0:
                spent[name].append(took)
        told(max(0, number + 1), count)
    for name, layer in desk.layers.items():
        if not np.any(layer.data == 1):
            raise CriiError(f"the benchmark cannot go on: no stroke left anything, {name}")
    return spent


def _path(rng: np.random.Generator) -> NDArray[np.float64]:
    """Return where the mouse goes: a line with a bend, in parts of the canvas, (moves, 2)."""
    start, steps = rng.uniform(0.35, 0.65, 2), rng.uniform(-0.01, 0.01, (_MOVES, 2))
    drift = rng.uniform(-0.008, 0.008, 2)
    return np.asarray(start + np.cumsum(steps + drift, axis=0))


def _send(
    canvas: QWidget,
    kind: QEvent.Type,
    point: QPointF,
    button: Qt.MouseButton,
    buttons: Qt.MouseButton,
) -> Spent:
    """Let the canvas handle a mouse event; return seconds on the wall and of computing."""
    everywhere = QPointF(canvas.mapToGlobal(point.toPoint()))
    event = QMouseEvent(kind, point, everywhere, button, buttons, Qt.KeyboardModifier.NoModifier)
    return _timed(lambda: QApplication.sendEvent(canvas, event))


def turns(seconds: float = 0.0, done: Done = lambda: True) -> Spent:
    """Turn the event loop for so long and until `done`; return what it took without waiting.

    Raises
    ------
    CriiError
        If that takes more than two minutes.
    """
    end = time.perf_counter() + seconds
    spent = [_timed(QCoreApplication.processEvents)]
    while (now := time.perf_counter()) < end or not done():
        if now > end + _PATIENCE_SECONDS:
            raise CriiError("the benchmark cannot go on: the window does not get ready")
        time.sleep(_POLL_SECONDS)
        spent.append(_timed(QCoreApplication.processEvents))
    return _sum(spent)


def _timed(work: Callable[[], object]) -> Spent:
    wall, cpu = time.perf_counter(), time.thread_time()
    work()
    return time.perf_counter() - wall, time.thread_time() - cpu


def _sum(spent: Sequence[Spent]) -> Spent:
    return sum(wall for wall, _ in spent), sum(cpu for _, cpu in spent)


def _noise() -> Volume:
    rng = np.random.default_rng(0)
    return Volume(rng.integers(0, 900, SHAPE, dtype=np.int16))


def _by_kind(spent: Mapping[str, Sequence[Stroke]]) -> dict[str, dict[str, float]]:
    """Summarise the strokes on each layer: those on a slice under work, and the first ones."""
    found = {}
    for name, seconds in spent.items():
        first = np.arange(len(seconds)) % _STROKES_A_SLICE == 0
        found[name] = _summary(np.array(seconds)[~first])
        found[f"{name}, first"] = _summary(np.array(seconds)[first])
    return found


def _summary(seconds: NDArray[np.float64]) -> dict[str, float]:
    """Return count, median and 95th percentile in ms: all, computing, handling of the mouse."""
    wall, cpu, handled = seconds.T * 1000
    found = {
        "median_ms": np.median(wall),
        "p95_ms": np.percentile(wall, 95),
        "median_cpu_ms": np.median(cpu),
        "p95_cpu_ms": np.percentile(cpu, 95),
        "median_handled_ms": np.median(handled),
        "p95_handled_ms": np.percentile(handled, 95),
    }
    return {"count": len(wall), **{name: round(float(v), 3) for name, v in found.items()}}
