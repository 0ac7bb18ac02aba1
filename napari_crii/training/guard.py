"""When a run has gone out of hand: what is no number, weights and losses that explode."""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import median

import torch
from torch import Tensor

# Healthy runs stay far below each of these: 2,500 steps from scratch let weights grow by 1.3.
_WEIGHTS_GROW = 4.0
_LOSS_RISES = 4.0
_LOSS_ADDED = 1.0
_FIRST_LOSSES = 5
_STAYS = 10


class Guard:
    """Watches a run step by step.

    Parameters
    ----------
    weights
        Of the network, before its first step.
    """

    def __init__(self, weights: Iterable[Tensor]) -> None:
        self._weights = list(weights)
        self._norm = max(1.0, norm(self._weights))
        self._first: list[float] = []
        self._high = 0

    def fault(self, step: int, loss: float) -> str:
        """Return in words what went wrong at a step, counted from 1; else nothing.

        Parameters
        ----------
        loss
            Of the step; what is no finite number may stand for its gradient, too.
        """
        if not math.isfinite(loss):
            return f"the loss or its gradient became {loss} at step {step}"
        grown = norm(self._weights) / self._norm
        if not math.isfinite(grown):
            return f"the weights are no longer finite numbers at step {step}"
        if grown > _WEIGHTS_GROW:
            return f"the weights grew to {grown:.0f} times their size at step {step}"
        return self._risen(step, loss)

    def _risen(self, step: int, loss: float) -> str:
        """Return what is wrong with a loss that is high for many steps on end."""
        if len(self._first) < _FIRST_LOSSES:
            self._first.append(loss)
            return ""
        start = median(self._first)
        high = loss > _LOSS_RISES * start + _LOSS_ADDED
        self._high = self._high + 1 if high else 0
        if self._high < _STAYS:
            return ""
        return f"the loss rose from {start:.2f} to {loss:.2f} and stayed there until step {step}"


@torch.no_grad()
def norm(weights: list[Tensor]) -> float:
    """Return the Euclidean norm of all weights together; not finite if one of them is not."""
    return float(torch.linalg.vector_norm(torch.stack(torch._foreach_norm(weights))))
