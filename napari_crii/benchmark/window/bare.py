"""The yardstick of the window: napari without the plugin, in a process of its own."""

from __future__ import annotations

from typing import NamedTuple

import napari
import numpy as np
from numpy.typing import NDArray

from napari_crii._layers import grid_arguments, image_layer
from napari_crii.benchmark.window.event_loop import Gaps, after, gaps_until
from napari_crii.benchmark.window.hand import Hand, Latencies
from napari_crii.volume import Volume

_SETTLING_SECONDS = 0.3
TITLE = "napari without the plugin"


class Question(NamedTuple):
    """What the bare window is asked.

    Attributes
    ----------
    seconds
        How long the hand works.
    as_many
        Whether as many layers are shown as the plugin has; else the scan and a mask.
    """

    seconds: float
    as_many: bool


class Answer(NamedTuple):
    """What came of a hand's work.

    Attributes
    ----------
    gaps
        Of the event loop.
    latencies
        Of the moves, in seconds.
    lost
        Moves that no frame showed.
    window, canvas
        Width and height of each, in pixels.
    """

    gaps: Gaps
    latencies: Latencies
    lost: int
    window: tuple[int, int]
    canvas: tuple[int, int]

    @classmethod
    def of(cls, hand: Hand, gaps: Gaps) -> Answer:
        """Return what a hand, at rest again, has measured."""
        window, canvas = ((one.width(), one.height()) for one in (hand.window, hand.canvas))
        return cls(gaps, hand.latencies, hand.lost, window, canvas)


class BareWindow:
    """A scan and a mask in napari, and layers of the kinds that the plugin adds.

    Parameters
    ----------
    volume
        The scan.
    size
        Of the window, width and height in pixels.
    slices
        On which the hand draws.
    """

    def __init__(self, volume: Volume, size: tuple[int, int], slices: tuple[int, ...]) -> None:
        self._viewer = napari.Viewer(title=TITLE)
        data, arguments, _ = image_layer(volume)
        self._viewer.add_image(data, **arguments)
        grid = grid_arguments(volume)
        shape = (volume.slice_count, *volume.slices().shape[1:3])
        labels = np.zeros(shape, dtype=np.uint8)
        labels[:, shape[1] // 4 : shape[1] // 2, shape[2] // 4 : shape[2] // 2] = 1
        overlay = {"colormap": "inferno", "blending": "additive", "opacity": 0.45}
        outline = self._viewer.add_labels(labels, opacity=0.9, **grid)
        outline.contour = 2
        self._more = [
            self._viewer.add_image(labels * 90, contrast_limits=(0, 255), **overlay, **grid),
            outline,
            self._viewer.add_labels(_boxes(shape), **grid),
        ]
        mask = self._viewer.add_labels(np.zeros_like(labels), opacity=0.45, **grid)
        mask.brush_size = 8
        self._hand = Hand(self._viewer, mask, slices, np.random.default_rng(0))
        gaps_until(lambda: None, after(_SETTLING_SECONDS))
        self._hand.window.resize(*size)
        gaps_until(lambda: None, after(_SETTLING_SECONDS))
        self._viewer.reset_view()

    def __call__(self, question: Question) -> Answer:
        """Come to the front and let the hand work for so long.

        The window is not hidden meanwhile: with PyQt5 one that is shown again draws no canvas.
        """
        window = self._hand.window
        for layer in self._more:
            layer.visible = question.as_many
        window.raise_()
        gaps_until(lambda: None, after(_SETTLING_SECONDS))
        gaps = gaps_until(self._hand.start, after(question.seconds))
        gaps_until(self._hand.rest, lambda: self._hand.idle)
        return Answer.of(self._hand, gaps)


def _boxes(shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Return the frames of two boxes on every slice, (S, H, W)."""
    found = np.zeros(shape, dtype=np.uint8)
    for number, part in ((1, 8), (2, 4)):
        top, left = shape[1] // part, shape[2] // part
        found[:, top : 2 * top, left : 2 * left] = number
        found[:, top + 1 : 2 * top - 1, left + 1 : 2 * left - 1] = 0
    return found
