"""Rounds in an open window that learns: with and without what disturbs, by turns.

The trainer learns without end. Where a round asks for a machine without it, it is suspended; that
costs neither side the start of a process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import psutil
from napari.viewer import Viewer
from numpy.typing import NDArray

from napari_crii.benchmark._partner import Partner
from napari_crii.benchmark.ratios import Ratio
from napari_crii.benchmark.window.bare import Answer, Question
from napari_crii.benchmark.window.event_loop import Act, Done, Gaps, after, gaps_until
from napari_crii.benchmark.window.hand import Hand
from napari_crii.errors import CriiError
from napari_crii.widgets.assistant import CriiAssistant
from napari_crii.widgets.learning import LearningPlan

_STEPS = 5
# How many times as long a bare loop may take beside a hand: for so long the hand paints.
_SLOWED = 8
_SETTLING_SECONDS = 0.3
_ENDLESS = 1_000_000
_P95 = 0.95
# Ends a word of its command, however it is started.
_TRAINER = "trainer"
_PACKAGE = "napari_crii"

Told = Callable[[], None]
Times = NDArray[np.float64]
Result = TypeVar("Result")


@dataclass
class Found:
    """What the rounds of one kind gave, by what was measured."""

    answers: dict[str, list[Answer]] = field(default_factory=dict)
    times: dict[str, list[float]] = field(default_factory=dict)

    def paint(self, name: str, kind: str = "paint") -> list[Times]:
        """Return the latencies of each round."""
        return [np.array(answer.latencies[kind]) for answer in self.answers[name]]


class Rounds:
    """An assistant's window with a scan open, a hand on it, and a trainer that learns.

    Parameters
    ----------
    hand
        At rest.
    seconds
        For which it paints in a round, at least.
    """

    def __init__(
        self, viewer: Viewer, assistant: CriiAssistant, hand: Hand, seconds: float
    ) -> None:
        self._viewer = viewer
        self._assistant = assistant
        self._controller = assistant.controller
        self._hand = hand
        self._seconds = seconds
        self._window = hand.window
        self._trainer: psutil.Process | None = None

    @contextmanager
    def learning(self, checkpoint: Path, index: int) -> Iterator[None]:
        """Accept a slice and learn from it without end; the trainer is suspended at first."""
        network = self._controller.network
        gaps_until(lambda: self._viewer.dims.set_current_step(0, index), after(_SETTLING_SECONDS))
        self._controller.accept_slice()
        plan = LearningPlan(checkpoint, _ENDLESS)
        gaps_until(lambda: self._controller.learn(plan), self._steps_done(2))
        self._trainer = trainer_process()
        self._trainer.suspend()
        try:
            yield
        finally:
            self._trainer.resume()
            network.learning.stop()
            gaps_until(lambda: None, lambda: not network.learning.running)

    def paint(self, bare: Partner, rounds: int, told: Told) -> Found:
        """Let hands paint: on bare napari, on ours at rest, on ours while it learns."""
        works: dict[str, Callable[[], Answer]] = {
            "bare": lambda: self._bare(bare, True),
            "two_layers": lambda: self._bare(bare, False),
            "resting": lambda: self._ours(False),
            "learning": lambda: self._ours(True),
        }
        found = Found()
        for name, answers in _alternated(works, rounds, told):
            found.answers.setdefault(name, []).append(answers)
        return found

    def propose(self, rounds: int, told: Told) -> Found:
        """Propose the volume: with the trainer suspended and learning, also while a hand paints."""
        works: dict[str, Callable[[], float]] = {
            "resting": self._propose,
            "learning": lambda: self._while_learning(self._propose),
            "resting_painting": lambda: self._while_painting(self._propose),
            "learning_painting": lambda: self._while_learning(
                lambda: self._while_painting(self._propose)
            ),
        }
        return _timed(works, rounds, told)

    def train(self, loop: Partner, bare: Partner, rounds: int, told: Told) -> Found:
        """Count steps a second: of a bare loop and of ours, each also while a hand paints.

        Beside the bare loop it paints on bare napari, for longer than the loop takes.
        """
        seconds = _SLOWED * _STEPS / float(loop.ask(_STEPS))

        def bare_painting() -> float:
            bare.begin(Question(seconds, True))
            rate = float(loop.ask(_STEPS))
            bare.answer()
            self._window.raise_()
            return rate

        works: dict[str, Callable[[], float]] = {
            "bare": lambda: float(loop.ask(_STEPS)),
            "ours": lambda: self._while_learning(self._rate),
            "bare_painting": bare_painting,
            "painting": lambda: self._while_learning(lambda: self._while_painting(self._rate)),
        }
        return _timed(works, rounds, told)

    def _bare(self, bare: Partner, as_many: bool) -> Answer:
        answer: Answer = bare.ask(Question(self._seconds, as_many))
        self._window.raise_()
        return answer

    def _ours(self, learning: bool) -> Answer:
        gaps_until(lambda: None, after(_SETTLING_SECONDS))
        if not learning:
            return self._paint_until(after(self._seconds))
        proposed = self._controller.proposed

        def again() -> None:
            self._assistant.propose(whole_volume=True)

        proposed.connect(again)
        try:
            again()
            return self._while_learning(lambda: self._paint_until(after(self._seconds)))
        finally:
            proposed.disconnect(again)
            self._until_proposed()

    def _paint_until(self, done: Done) -> Answer:
        gaps = gaps_until(self._hand.start, done)
        gaps_until(self._hand.rest, lambda: self._hand.idle)
        return Answer.of(self._hand, gaps)

    def _while_learning(self, work: Callable[[], Result]) -> Result:
        assert self._trainer is not None
        self._trainer.resume()
        try:
            return work()
        finally:
            self._trainer.suspend()

    def _propose(self) -> float:
        """Return the seconds from the press of "All slices" to the last proposal."""
        gaps = self._until_proposed(lambda: self._assistant.propose(whole_volume=True))
        return float(gaps[:, 0].sum())

    def _until_proposed(self, act: Act = lambda: None) -> Gaps:
        """Run the loop until nothing is being proposed any more."""
        network = self._controller.network
        return gaps_until(act, lambda: not network.proposing.progress.running)

    def _rate(self) -> float:
        """Return the trainer's steps a second, as the window hears of them."""
        done = self._steps_done(1)
        gaps_until(lambda: None, done)
        gaps = gaps_until(lambda: None, self._steps_done(_STEPS))
        return _STEPS / float(gaps[:, 0].sum())

    def _while_painting(self, work: Callable[[], float]) -> float:
        self._hand.start()
        found = work()
        gaps_until(self._hand.rest, lambda: self._hand.idle)
        return found

    def _steps_done(self, count: int) -> Done:
        """Return what is done when the trainer took so many more steps."""
        learning = self._controller.network.learning
        start = learning.progress.done

        def done() -> bool:
            if not learning.running:
                raise CriiError(f"the benchmark cannot go on: {learning.words}")
            return learning.progress.done >= start + count

        return done


def paint_report(found: Found) -> dict[str, Any]:
    """Return the ratios of painting and scrolling, and the latencies in ms."""
    rng = np.random.default_rng(0)
    learning = found.paint("learning")

    def ratio(ours: list[Times], bare: list[Times]) -> Ratio:
        return Ratio.of_quantiles(ours, bare, _P95, rng)

    bare, scrolled = found.paint("bare"), found.paint("learning", "scroll")
    return {
        **ratio(learning, bare).named("paint_p95_ratio"),
        **ratio(learning, found.paint("two_layers")).named("paint_p95_over_two_layers"),
        **ratio(found.paint("resting"), bare).named("paint_p95_resting_ratio"),
        **ratio(scrolled, found.paint("bare", "scroll")).named("scroll_p95_ratio"),
        "latencies": {
            f"{kind}, {name.replace('_', ' ')}": _latency(found.paint(name, kind))
            for kind in ("paint", "scroll")
            for name in found.answers
        },
        "lost_frames": {
            name: sum(a.lost for a in answers) for name, answers in found.answers.items()
        },
        "window": {name: list(answers[0].window) for name, answers in found.answers.items()},
        "canvas": {name: list(answers[0].canvas) for name, answers in found.answers.items()},
    }


def _latency(rounds: list[Times]) -> dict[str, float]:
    ms = np.concatenate(rounds) * 1000
    return {
        "count": len(ms),
        "median_ms": round(float(np.median(ms)), 2),
        "p95_ms": round(float(np.quantile(ms, _P95)), 2),
    }


def ratio_of(found: Found, one: str, other: str, name: str) -> dict[str, Any]:
    """Return the ratio of what two things took, round by round, as a report names it."""
    ours, theirs = (np.array(found.times[n]) for n in (one, other))
    return Ratio.of(ours, theirs, np.random.default_rng(0)).named(name)


def medians(found: Found) -> dict[str, float]:
    """Return the median of each thing's times."""
    return {name: round(float(np.median(t)), 4) for name, t in found.times.items()}


def children_of_window() -> list[tuple[psutil.Process, str]]:
    """Return the engine and the trainer, while they run, with the commands they were started by."""
    found = []
    for child in psutil.Process().children():
        # One may end at any moment; then it has no command any more.
        with suppress(psutil.Error):
            found.append((child, " ".join(child.cmdline())))
    return [(child, command) for child, command in found if _PACKAGE in command]


def trainer_process() -> psutil.Process:
    """Return the child of this process that learns.

    Raises
    ------
    CriiError
        If there is none.
    """
    for child, command in children_of_window():
        if any(word.endswith(_TRAINER) for word in command.split()):
            return child
    raise CriiError("the benchmark cannot go on: the trainer does not run")


def _timed(works: Mapping[str, Callable[[], float]], rounds: int, told: Told) -> Found:
    found = Found()
    for name, time in _alternated(works, rounds, told):
        found.times.setdefault(name, []).append(time)
    return found


def _alternated(
    works: Mapping[str, Callable[[], Any]], rounds: int, told: Told
) -> Iterator[tuple[str, Any]]:
    """Do the works of each round, in turn forwards and backwards, and once more beforehand."""
    for work in works.values():
        work()
    for number in range(rounds):
        for name in list(works)[:: -1 if number % 2 else 1]:
            yield name, works[name]()
        told()
