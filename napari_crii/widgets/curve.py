"""What a run of learning looked like: its loss by step, and how the check slices were judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

Point = tuple[float, float]


@dataclass
class LearningCurve:
    """One run.

    Attributes
    ----------
    total
        Steps of the whole run.
    losses
        (step, loss), in the order of the steps.
    checks
        (step, Dice on the check slices).
    """

    total: int = 0
    losses: list[Point] = field(default_factory=list)
    checks: list[Point] = field(default_factory=list)


def thinned(points: Sequence[Point], most: int) -> list[Point]:
    """Return at most so many points: means of neighbours, with as many in each as it takes."""
    share = -(-len(points) // most) if points else 1
    parts = [points[at : at + share] for at in range(0, len(points), share)]
    return [
        (sum(x for x, _ in part) / len(part), sum(y for _, y in part) / len(part)) for part in parts
    ]


def span(values: Sequence[float], least: float) -> tuple[float, float]:
    """Return the lowest and the highest value, widened around their middle to at least `least`."""
    low, high = (min(values), max(values)) if values else (0.0, 0.0)
    lack = max(0.0, least - (high - low)) / 2
    return low - lack, high + lack
