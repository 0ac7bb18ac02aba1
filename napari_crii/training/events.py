"""What `fit` reports: frozen events, the last of which says why it ended; and its steps alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from napari_crii.errors import TrainingError


class FinishReason(StrEnum):
    """Why a run ended."""

    COMPLETED = "completed"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True)
class Stepped:
    """One optimiser step is done; `step` counts from 1."""

    step: int
    total: int
    loss: float


@dataclass(frozen=True)
class Checked:
    """The averaged weights were judged after `step` steps: mean Dice on so many check slices."""

    step: int
    dice: float
    slices: int


@dataclass(frozen=True)
class Remarked:
    """Something happened on the way that a user should know, in one sentence."""

    text: str


@dataclass(frozen=True)
class Finished:
    """The run is over; the network holds the averaged weights, or its old ones if it failed."""

    reason: FinishReason
    steps: int
    message: str = ""


Event = Stepped | Checked | Remarked | Finished


def steps_of(events: Iterable[Event]) -> Iterator[Stepped]:
    """Yield the steps of a run, for whom a failed run is of no use.

    Raises
    ------
    TrainingError
        If the run failed, after its last step; in its own words.
    """
    for event in events:
        if isinstance(event, Stepped):
            yield event
        elif isinstance(event, Finished) and event.reason is FinishReason.FAILED:
            raise TrainingError(event.message)
