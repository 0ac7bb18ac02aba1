"""The frozen settings of a training run."""

from __future__ import annotations

from dataclasses import dataclass

from napari_crii.errors import TrainingError
from napari_crii.training.method import SUP, MethodConfig


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of one run of `fit`.

    Attributes
    ----------
    iterations, batch
        Number of optimiser steps, and crops per step.
    crop
        Side of the square crops, in pixels, a multiple of 16.
    learning_rate, weight_decay
        Of AdamW; the rate falls to zero as ``(1 - t) ** 0.9``.
    warmup
        Steps over which the learning rate rises from zero.
    focus
        Share of crops centred on annotated foreground.
    corrective
        Share of crops centred on what the network missed when the run began, of slices of which
        that is known; the others are shared out as above.
    ema_decay
        Of the exponential moving average of the weights, which is the result.
    replay
        Share of every batch drawn from slices marked as replay, where there are any.
    mirror_axes
        In-plane axes along which crops may be mirrored.
    turned
        Share of crops turned by one, two or three quarter turns, where scans come in any position.
    mixed_precision
        Compute the network in 16 bits where that loses nothing (autocast); weights, losses and
        the optimiser stay in float32. Faster on processors and GPUs that know the type.
    centred
        Crops lie at the middle of the slice, give or take a 24th of their side, instead of on
        foreground or anywhere.
    strong
        Augment labelled crops by everything there is; else by mirror and small rotation.
    method
        Which losses act: a preset, or one of one's own.
    """

    iterations: int = 1500
    batch: int = 8
    crop: int = 128
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    warmup: int = 50
    focus: float = 0.5
    corrective: float = 0.0
    ema_decay: float = 0.99
    replay: float = 0.5
    mirror_axes: tuple[int, ...] = (0, 1)
    turned: float = 0.0
    mixed_precision: bool = False
    centred: bool = False
    strong: bool = True
    method: MethodConfig = SUP

    def __post_init__(self) -> None:
        """Refuse settings that cannot run."""
        if min(self.iterations, self.batch, self.crop) < 1 or self.crop % 16:
            raise TrainingError(
                f"{self.iterations} iterations of {self.batch} crops of {self.crop} pixels "
                "cannot run: each is at least 1, and crops are multiples of 16"
            )
        if not 0 < self.learning_rate <= 1 or not 0 <= self.ema_decay < 1:
            raise TrainingError(
                f"learning rate {self.learning_rate} or EMA decay {self.ema_decay} is out of range"
            )
        if not all(0 <= share <= 1 for share in self._shares.values()):
            words = ", ".join(f"{name} {share}" for name, share in self._shares.items())
            raise TrainingError(f"{words}: each is a share, 0 to 1")

    @property
    def _shares(self) -> dict[str, float]:
        return {name: getattr(self, name) for name in ("focus", "corrective", "replay", "turned")}
