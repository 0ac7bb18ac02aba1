"""How the event loop of a window did for a while, in a few figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_crii.benchmark.window.event_loop import Gaps


@dataclass(frozen=True)
class Phase:
    """How the event loop did for a while.

    Attributes
    ----------
    longest_ms, p99_ms
        Of the gaps between turns; a turn is due every 5 ms.
    longest_cpu_ms
        The most that the window's own thread computed between two turns: where it is far below
        `longest_ms`, other threads and processes held the processor.
    turns
        How many there were.
    """

    longest_ms: float
    p99_ms: float
    longest_cpu_ms: float
    turns: int
    seconds: float

    @classmethod
    def of(cls, gaps: Gaps) -> Phase:
        """Summarise gaps (N, 2) in seconds."""
        waited, computed = gaps.T * 1000
        return cls(
            longest_ms=_rounded(waited.max()),
            p99_ms=_rounded(np.percentile(waited, 99)),
            longest_cpu_ms=_rounded(computed.max()),
            turns=len(gaps),
            seconds=_rounded(waited.sum() / 1000),
        )


def _rounded(value: Any) -> float:
    return round(float(value), 2)
