"""What `fit` reports: frozen events, the last of which says why it ended."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


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
class Finished:
    """The run is over; the network holds the averaged weights, or its old ones if it failed."""

    reason: FinishReason
    steps: int
    message: str = ""


Event = Stepped | Finished
