"""How long a window stands still while a network proposes and learns, and nobody touches it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from napari_crii.benchmark.window.event_loop import qt_in_use
from napari_crii.benchmark.window.hand import RestingHand
from napari_crii.benchmark.window.opened import opened_window
from napari_crii.benchmark.window.phase import Phase
from napari_crii.benchmark.window.story import story
from napari_crii.demo import DemoTask


def window_pauses(task: DemoTask, tick: int = 0) -> dict[str, Any]:
    """Open a window, propose, accept a slice, learn, and propose anew.

    Parameters
    ----------
    task
        A scan and weights.
    tick
        Steps to learn for; 0 takes the tick's own.

    Returns
    -------
    dict
        ``pause_ms``, the longest gap between two turns of the event loop while proposing and
        learning; ``pause_p99_ms``; ``pauses``, each phase by itself, the opening too.

    Raises
    ------
    CriiError
        If the assistant reports a problem, or it does not come to an end.
    """
    with opened_window(task) as opened:
        worked = story(opened.viewer, opened.assistant, RestingHand(), task, tick)
    phases = {"opening": opened.gaps, **worked}
    whole = Phase.of(np.concatenate(list(worked.values())))
    return {
        "pause_ms": whole.longest_ms,
        "pause_p99_ms": whole.p99_ms,
        "pauses": {name: asdict(Phase.of(gaps)) for name, gaps in phases.items()},
        "qt": qt_in_use(),
    }
