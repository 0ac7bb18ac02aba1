"""What a run gives up, step by step, when memory runs out, and the weights it falls back on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

_FEWEST = 2
_SMALLEST = 32
_STRIDE = 16


@dataclass(frozen=True)
class Rung:
    """How much one step takes at once: crops, and the side of each in pixels."""

    batch: int
    crop: int

    def below(self) -> Rung | None:
        """Return the next smaller one: half of the crops, then crops half as wide; None: no more.

        Two crops stay, so that older material is still replayed beside what is new.
        """
        if self.batch > _FEWEST:
            return Rung(max(_FEWEST, self.batch // 2), self.crop)
        if self.crop > _SMALLEST:
            return Rung(self.batch, max(_SMALLEST, self.crop // 2 // _STRIDE * _STRIDE))
        return None

    @property
    def words(self) -> str:
        """How a user hears of it."""
        return f"{self.batch} crop{'s' if self.batch > 1 else ''} of {self.crop} pixels a step"


class LastGood:
    """A copy of weights as the last whole step left them; it needs no memory when it is needed."""

    def __init__(self, weights: Iterable[Tensor]) -> None:
        self._weights = list(weights)
        self._kept = [tensor.detach().clone() for tensor in self._weights]

    @torch.no_grad()
    def keep(self) -> None:
        """Remember the weights as they are."""
        torch._foreach_copy_(self._kept, self._weights)

    @torch.no_grad()
    def restore(self) -> None:
        """Bring the weights back as they were when they were kept."""
        torch._foreach_copy_(self._weights, self._kept)
