"""How masks and maps look in pictures: outlines, and colours laid over a scan."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_DIMMED = 0.45
# From dark to light, as in "inferno": readable without telling red from green.
_HEAT = np.array(
    [[0, 0, 4], [66, 10, 104], [147, 38, 103], [221, 81, 58], [252, 165, 10], [252, 255, 164]]
)


def outline(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the pixels of a region that have a neighbour outside it."""
    padded = np.pad(inside, 1)
    core = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return inside & ~core


def with_map(scan: NDArray[np.float32], score: NDArray[np.float32]) -> NDArray[np.float32]:
    """Lay the map over the dimmed scan: the greater the doubt, the lighter and the denser."""
    doubt = np.clip(score, 0, 1)
    opacity = np.sqrt(doubt)[..., None]
    return np.asarray(scan * _DIMMED * (1 - opacity) + heat(doubt) * opacity, dtype=np.float32)


def heat(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the colour of each value from 0 to 1: (..., 3), 0 to 255."""
    stops = np.linspace(0, 1, len(_HEAT))
    return np.stack([np.interp(values, stops, channel) for channel in _HEAT.T], axis=-1)
