"""A hand on a real window: strokes and scrolling, and how long after each the canvas is drawn.

The hand works among the events of the running loop, as a user's does: it makes its next move some
time after it has seen the last one. A move is due at a time of its own; its latency counts from
there to the frame that shows it, so that a loop which is kept waiting is not forgiven.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
from napari.layers import Labels
from napari.viewer import Viewer
from numpy.typing import NDArray
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QWidget

from napari_crii.benchmark.window import mouse
from napari_crii.benchmark.window.event_loop import Act
from napari_crii.widgets._compat import camera_of

_THINKING_SECONDS = (0.008, 0.03)
_MOVES = 12
_MOVED_PIXELS = 1.5
_MOVED_PART = 0.015
_SLICES_TO_AND_FRO = 3
# A frame that has not come by then will not come.
_LOST_SECONDS = 1.0

Kind = Literal["paint", "scroll", ""]
Latencies = dict[str, list[float]]


class Move(NamedTuple):
    """Something the hand does; what shows a frame has a kind."""

    kind: Kind
    act: Act


class Hand:
    """Paints a line, erases it, and scrolls away and back in between, until told to rest.

    Parameters
    ----------
    viewer
        Whose window has the canvas; its title is no other window's.
    layer
        On which strokes go.
    slices
        On which of its slices, by turns.

    Attributes
    ----------
    window, slices
        Where it draws.
    latencies
        Seconds from when a move was due to the frame with it, of ``paint`` and ``scroll``.
    lost
        Moves after which no frame came.
    strokes
        How many were finished.
    idle
        Whether it rests, with nothing half drawn.
    """

    def __init__(
        self, viewer: Viewer, layer: Labels, slices: Sequence[int], rng: np.random.Generator
    ) -> None:
        self._viewer, self._layer, self.slices = viewer, layer, tuple(slices)
        self._rng = rng
        self._canvas: Any
        self.window, self._canvas = mouse.canvas_of(viewer)
        self._moves = self._work()
        self._due = 0.0
        self._awaited: Kind = ""
        self._wanted, self.idle = False, True
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._on_time)
        self._drawn = False
        # Frames also show what changed beside the canvas.
        self._scene = self._canvas._vispy_canvas
        self._scene.events.draw.connect(self._on_draw, position="last")
        self._canvas.frameSwapped.connect(self._on_frame)
        self.latencies: Latencies = {"paint": [], "scroll": []}
        self.lost = 0
        self.strokes = 0

    @property
    def canvas(self) -> QWidget:
        """Where it draws."""
        found: QWidget = self._canvas
        return found

    def start(self) -> None:
        """Work, and forget what was measured before."""
        self.latencies = {"paint": [], "scroll": []}
        self.lost, self._wanted, self.idle = 0, True, False
        self._viewer.layers.selection.active = self._layer
        self._think()

    def rest(self) -> None:
        """Finish the stroke and the way back, then be idle."""
        self._wanted = False

    def close(self) -> None:
        """Let go of the window, at once."""
        self._timer.stop()
        self._canvas.frameSwapped.disconnect(self._on_frame)
        self._scene.events.draw.disconnect(self._on_draw)

    def _think(self) -> None:
        seconds = self._rng.uniform(*_THINKING_SECONDS)
        self._due = time.perf_counter() + seconds
        self._timer.start(round(seconds * 1000))

    def _on_time(self) -> None:
        """Make the next move, or give up waiting for the frame of the last one."""
        if self._awaited:
            self.lost, self._awaited = self.lost + 1, ""
        kind, act = next(self._moves)
        self._drawn = False
        act()
        if self.idle:
            return
        if kind:
            self._awaited = kind
            self._timer.start(round(_LOST_SECONDS * 1000))
        else:
            self._think()

    def _on_draw(self, event: object) -> None:
        self._drawn = True

    def _on_frame(self) -> None:
        if self._awaited and self._drawn:
            self.latencies[self._awaited].append(time.perf_counter() - self._due)
            self._awaited = ""
            self._think()

    def _work(self) -> Iterator[Move]:
        """Yield moves without end."""
        while True:
            for index in self.slices:
                yield Move("", self._may_rest)
                yield Move("", partial(self._turn_to, index))
                path = self._path()
                for mode in ("paint", "erase"):
                    yield from self._stroke(mode, path)
                    yield from self._scroll(index)

    def _may_rest(self) -> None:
        self.idle = not self._wanted

    def _stroke(self, mode: str, path: NDArray[np.float64]) -> Iterator[Move]:
        """Come to the first point, press, drag through the others, release."""
        canvas = self.canvas
        yield Move("", lambda: setattr(self._layer, "mode", mode))
        # A canvas keeps all events since the mouse last moved twice with no button pressed.
        for _ in range(2):
            yield Move("", lambda: mouse.move(canvas, path[0], pressed=False))
        yield Move("", lambda: mouse.press(canvas, path[0]))
        for point in path[1:]:
            yield Move("paint", partial(mouse.move, canvas, point, pressed=True))
        yield Move("", lambda: mouse.release(canvas, path[-1]))
        self.strokes += 1

    def _scroll(self, index: int) -> Iterator[Move]:
        """Step some slices away and back."""
        away = range(1, _SLICES_TO_AND_FRO + 1)
        for step in (*away, *reversed(away[:-1]), 0):
            yield Move("scroll", partial(self._turn_to, index + step))

    def _turn_to(self, index: int) -> None:
        axis = self._viewer.dims.ndim - 3
        count = int(self._viewer.dims.nsteps[axis])
        self._viewer.dims.set_current_step(axis, index % count)

    def _path(self) -> NDArray[np.float64]:
        size = (self.canvas.width(), self.canvas.height())
        pixel = float(camera_of(self._viewer).zoom) * max(self._layer.scale[-2:])
        return line_across(size, pixel, self._rng)


class RestingHand:
    """Takes a hand's place where nobody works."""

    idle = True

    def start(self) -> None:
        """Do nothing."""

    def rest(self) -> None:
        """Go on doing nothing."""


AnyHand = Hand | RestingHand


def line_across(
    size: tuple[int, int], pixel: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return where a mouse goes: a line with bends, from beside the middle of a canvas across it.

    Each move is longer than a pixel of the mask: one that paints nothing shows no frame. The line
    stays on a canvas that shows at least 40 pixels of the mask, across and down.

    Parameters
    ----------
    size
        Width and height of the canvas, in its pixels.
    pixel
        How large a pixel of the mask is there.

    Returns
    -------
    path
        (moves, 2), across and down, in parts of the canvas.
    """
    length = max(_MOVED_PIXELS * pixel, _MOVED_PART * min(size))
    start = rng.uniform(0.4, 0.6, 2)
    angle = np.arctan2(0.5 - start[1], 0.5 - start[0]) + rng.uniform(-0.5, 0.5, _MOVES)
    steps = length * np.column_stack([np.cos(angle), np.sin(angle)]) / size
    return np.asarray(start + np.cumsum(steps, axis=0))
