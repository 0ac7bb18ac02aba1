"""A real window under work, measured: the part that needs Qt and napari."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from napari.viewer import Viewer

from napari_crii.benchmark._partner import Partner
from napari_crii.benchmark.bare_loop import make_bare_loop
from napari_crii.benchmark.window.bare import BareWindow
from napari_crii.benchmark.window.event_loop import Gaps, qt_in_use
from napari_crii.benchmark.window.hand import Hand
from napari_crii.benchmark.window.opened import WINDOW_SIZE, opened_window
from napari_crii.benchmark.window.phase import Phase
from napari_crii.benchmark.window.rounds import Found, Rounds, medians, paint_report, ratio_of
from napari_crii.benchmark.window.story import propose, story, weights_of
from napari_crii.demo import DemoTask
from napari_crii.errors import CriiError
from napari_crii.widgets.assistant import CriiAssistant

FEWEST_SLICES = 6
# Of the rounds, three kinds: paint, proposals, training.
_UNDER_LOAD = ("proposing", "learning", "rounds")

Told = Callable[[int, int], None]


@dataclass(frozen=True)
class Plan:
    """What is measured, and how often.

    Attributes
    ----------
    parts
        ``window``, ``training``, or both.
    rounds
        Of each kind.
    tick
        Steps of the fine-tuning tick; 0 takes the tick's own.
    seconds
        For which the hand paints in a round, and then on to the end of its stroke.
    size
        Width and height of the windows, in pixels.
    """

    parts: frozenset[str] = frozenset({"window", "training"})
    rounds: int = 20
    tick: int = 0
    seconds: float = 2.0
    size: tuple[int, int] = WINDOW_SIZE


def window_latency(
    task: DemoTask, plan: Plan, told: Told = lambda done, total: None
) -> dict[str, Any]:
    """Open a window and work in it while a network proposes and learns beside.

    First, of the part ``window``, one story: propose the whole scan, accept a slice, learn a tick,
    take the new weights up, propose anew, while a hand paints and scrolls. Then rounds, by turns
    with and without what disturbs: see `Rounds`.

    Bare is napari without the plugin, in a process of its own, in a window of the same size (our
    dock takes its room from the canvas), with the same scan, a mask, and as many layers of the same
    kinds beside them as the plugin shows. So the ratio tells what the plugin's work and its network
    cost, not what layers cost; ``…_over_two_layers`` is the same over a window with the scan and
    the mask alone.

    Returns
    -------
    dict
        ``phases``; of the part ``window`` ``event_loop_gap_ms``, the
        longest gap while proposing and learning, ``event_loop_p99_ms``, ``paint_p95_ratio`` and
        ``proposal_ratio``; of the part ``training`` ``training_ratio``; with what belongs to them.

    Raises
    ------
    CriiError
        If the scan is too small, the assistant reports a problem, or it does not come to an end.
    """
    count = task.volume.slice_count
    if count < FEWEST_SLICES:
        raise CriiError(
            f"the window is measured on at least {FEWEST_SLICES} slices, and this scan has {count}"
        )
    with opened_window(task, plan.size) as (viewer, assistant, opening), ExitStack() as stack:
        hand = _hand(viewer, assistant, (count // 3, 2 * count // 3))
        stack.callback(hand.close)
        found: dict[str, Any] = {}
        phases = {"opening": opening}
        if "window" in plan.parts:
            phases |= story(viewer, assistant, hand, task, plan.tick)
        else:
            # A slice is accepted to learn from, so there have to be proposals.
            propose(assistant, hand)
        rounds = Rounds(viewer, assistant, hand, plan.seconds)
        with rounds.learning(weights_of(task), 1):
            advance = _Progress(plan, told)
            if "window" in plan.parts:
                paint, proposals = _window_rounds(rounds, hand, task, plan.rounds, advance)
                phases |= _phases(paint)
                found |= _window_report(phases, paint, proposals)
            if "training" in plan.parts:
                found |= _training_report(
                    _training_rounds(rounds, hand, task, plan.rounds, advance)
                )
        return {
            **found,
            "rounds": plan.rounds,
            "phases": {name: asdict(Phase.of(gaps)) for name, gaps in phases.items()},
            "qt": qt_in_use(),
        }


class _Progress:
    """Tells how many of all rounds are done."""

    def __init__(self, plan: Plan, told: Told) -> None:
        self._total = plan.rounds * (2 * ("window" in plan.parts) + ("training" in plan.parts))
        self._done = 0
        self._told = told

    def __call__(self) -> None:
        self._done += 1
        self._told(self._done, self._total)


def _hand(viewer: Viewer, assistant: CriiAssistant, slices: tuple[int, ...]) -> Hand:
    binding = assistant.controller.binding
    assert binding is not None
    return Hand(viewer, binding.human, slices, np.random.default_rng(0))


def _window_rounds(
    rounds: Rounds, hand: Hand, task: DemoTask, count: int, told: Callable[[], None]
) -> tuple[Found, Found]:
    """Paint and propose, with and without what disturbs."""
    with closing(_bare_window(hand, task)) as bare:
        paint = rounds.paint(bare, count, told)
    return paint, rounds.propose(count, told)


def _bare_window(hand: Hand, task: DemoTask) -> Partner:
    size = (hand.window.width(), hand.window.height())
    return Partner(BareWindow, task.volume, size, hand.slices)


def _training_rounds(
    rounds: Rounds, hand: Hand, task: DemoTask, count: int, told: Callable[[], None]
) -> Found:
    volume = task.volume
    rows, columns = volume.slices().shape[1:3]
    made = Partner(make_bare_loop, weights_of(task), (rows, columns), volume.pixel_spacing)
    with closing(made) as loop, closing(_bare_window(hand, task)) as bare:
        return rounds.train(loop, bare, count, told)


def _phases(paint: Found) -> dict[str, Gaps]:
    """Return the gaps of bare napari, of our window at rest, and of ours while it learns."""
    names = {"bare": "bare", "resting": "resting", "learning": "rounds"}
    return {
        phase: np.concatenate([answer.gaps for answer in paint.answers[name]])
        for name, phase in names.items()
    }


def _window_report(phases: dict[str, Gaps], paint: Found, proposals: Found) -> dict[str, Any]:
    loaded = Phase.of(np.concatenate([phases[name] for name in _UNDER_LOAD]))
    return {
        "event_loop_gap_ms": loaded.longest_ms,
        "event_loop_p99_ms": loaded.p99_ms,
        "gap_over_bare": round(loaded.longest_ms / Phase.of(phases["bare"]).longest_ms, 3),
        **paint_report(paint),
        **ratio_of(proposals, "learning", "resting", "proposal_ratio"),
        **ratio_of(proposals, "learning_painting", "resting_painting", "proposal_painting_ratio"),
        "proposal_seconds": medians(proposals),
    }


def _training_report(training: Found) -> dict[str, Any]:
    return {
        **ratio_of(training, "ours", "bare", "training_ratio"),
        **ratio_of(training, "painting", "bare_painting", "training_painting_ratio"),
        **ratio_of(training, "painting", "bare", "training_painting_over_rest"),
        "steps_per_second": medians(training),
    }
