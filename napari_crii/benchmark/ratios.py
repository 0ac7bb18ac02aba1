"""Ratios of times within one run: alternating, medians, bootstrap intervals."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_RESAMPLED = 2000
_CONFIDENCE = 0.95

Work = Callable[[], object]
Seconds = NDArray[np.float64]


@dataclass(frozen=True)
class Ratio:
    """How many times as long one thing takes as another.

    Attributes
    ----------
    median
        Of the ratios of the rounds.
    low, high
        Its 95 % interval, rounds resampled.
    """

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, seconds: Seconds, over: Seconds, rng: np.random.Generator) -> Ratio:
        """Compare the times (N,) of N rounds, each with the other of its round."""
        ratios = seconds / over
        drawn = rng.choice(ratios, (_RESAMPLED, len(ratios)))
        return cls._of(float(np.median(ratios)), np.median(drawn, axis=1))

    @classmethod
    def of_quantiles(
        cls,
        seconds: Sequence[Seconds],
        over: Sequence[Seconds],
        quantile: float,
        rng: np.random.Generator,
    ) -> Ratio:
        """Compare a quantile of what many rounds took together; `median` is the ratio found.

        Parameters
        ----------
        seconds, over
            Of each round, times (N,) of the one thing and times (M,) of the other.
        quantile
            0 to 1.
        """

        def ratio(rounds: NDArray[np.integer]) -> float:
            one, other = (np.concatenate([times[i] for i in rounds]) for times in (seconds, over))
            return float(np.quantile(one, quantile) / np.quantile(other, quantile))

        drawn = rng.integers(len(seconds), size=(_RESAMPLED, len(seconds)))
        return cls._of(ratio(np.arange(len(seconds))), np.array([ratio(d) for d in drawn]))

    @classmethod
    def _of(cls, found: float, resampled: NDArray[np.float64]) -> Ratio:
        low, high = interval_of(resampled)
        return cls(*(round(float(v), 4) for v in (found, low, high)))

    def named(self, name: str) -> dict[str, Any]:
        """Return it as a report says it: the ratio, and its ``…_interval``."""
        return {name: self.median, f"{name}_interval": [self.low, self.high]}


def interval_of(resampled: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 95 % interval of what resamples (N,) gave."""
    tail = (1 - _CONFIDENCE) / 2
    low, high = np.quantile(resampled, (tail, 1 - tail))
    return float(low), float(high)


def alternate(
    rounds: Sequence[Mapping[str, Work]],
    clock: Callable[[], float] = time.perf_counter,
    told: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Seconds]:
    """Time the works of each round one after the other, in turn forwards and backwards.

    The first round runs once more beforehand, untimed: what is set up once is not what is asked.

    Parameters
    ----------
    rounds
        Name to work; the same names in every round.
    clock
        Returns seconds.
    told
        Told after each round how many of how many are done.

    Returns
    -------
    dict
        Name to seconds, one per round.
    """
    for work in rounds[0].values():
        work()
    seconds: dict[str, list[float]] = {name: [] for name in rounds[0]}
    for done, works in enumerate(rounds, start=1):
        for name in list(works) if done % 2 else list(works)[::-1]:
            started = clock()
            works[name]()
            seconds[name].append(clock() - started)
        told(done, len(rounds))
    return {name: np.array(values) for name, values in seconds.items()}
