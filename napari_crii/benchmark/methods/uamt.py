"""Uncertainty-aware Mean Teacher: Yu et al., MICCAI 2019.

Eq. 2: predictive entropy of the mean of T = 8 stochastic passes of the teacher. Eq. 3: squared
distance where that entropy is below H, which rises from 3/4 to all of its maximum. Weight
``0.1 exp(-5 (1 - t / tmax)^2)``. The target itself is a pass without dropout, in the authors' code
one with it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from napari_crii.benchmark.methods.backbone import UNet
from napari_crii.benchmark.methods.method import Method, Setting, supervised
from napari_crii.benchmark.methods.passes import both_streams, noisy, stream_of
from napari_crii.losses import gaussian_ramp
from napari_crii.training.objectives import Step

CONSISTENCY = 0.1
PASSES = 8
_TINY = 1e-6


class UncertaintyAware:
    """Imitation of the teacher where it is certain under dropout and noise."""

    def __init__(self, setting: Setting) -> None:
        self._classes = setting.classes
        self._pool_weight = setting.pool_weight

    def __call__(self, step: Step) -> Tensor:
        """Return supervision plus consistency of certain pixels."""
        rest = stream_of(step)
        said, guessed = both_streams(step, rest.strong[0])
        target: Tensor = step.taught(noisy(rest.weak)).softmax(dim=1)
        ramp = gaussian_ramp(step.progress, 1.0)
        limit = (0.75 + 0.25 * ramp) * math.log(self._classes)
        certain = (self.uncertainty(step, rest.weak) < limit).float()
        distance = (guessed.softmax(dim=1) - target).square().mean(dim=1)
        masked = (certain * distance).sum() / certain.sum().clamp_min(_TINY)
        weight = self._pool_weight * CONSISTENCY * ramp
        return supervised(said, step.batch.labelled) + weight * masked

    def uncertainty(self, step: Step, weak: Tensor) -> Tensor:
        """Return the entropy (B, H, W), in nats, of the mean of the teacher's passes."""
        step.teacher.train()
        total = torch.zeros(())
        for _ in range(PASSES):
            total = total + step.taught(noisy(weak)).softmax(dim=1)
        step.teacher.eval()
        p = total / PASSES
        return -(p * (p + _TINY).log()).sum(dim=1)


UAMT = Method(UNet, UncertaintyAware)
