"""How learning shows on the command line: its progress, and its failure as one sentence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from napari_crii.cli._output import Advance, note
from napari_crii.errors import TrainingError

if TYPE_CHECKING:
    from napari_crii.training import Event


def follow(events: Iterable[Event], advance: Advance) -> float:
    """Show the progress of a run to its end, and return its last loss.

    Raises
    ------
    TrainingError
        If it failed.
    """
    from napari_crii.training import Finished, FinishReason, Remarked, Stepped

    loss = float("inf")
    for event in events:
        if isinstance(event, Stepped):
            loss = event.loss
            advance(event.step, event.total, f"loss {loss:.3f}")
        elif isinstance(event, Remarked):
            note(event.text)
        elif isinstance(event, Finished) and event.reason is FinishReason.FAILED:
            raise TrainingError(f"training failed, nothing was saved: {event.message}")
        elif isinstance(event, Finished):
            return loss
    raise TrainingError("training ended without a result")
