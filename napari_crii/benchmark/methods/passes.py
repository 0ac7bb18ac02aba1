"""Passes that several of the compared methods share."""

from __future__ import annotations

import torch
from torch import Tensor

from napari_crii.training.objectives import Step
from napari_crii.training.streams import Unlabelled

_NOISE = 0.1


def stream_of(step: Step) -> Unlabelled:
    """Return the unlabelled crops of a step, which semi-supervised methods always have."""
    assert step.batch.unlabelled is not None, "the method learns from unlabelled slices"
    return step.batch.unlabelled


def both_streams(step: Step, unlabelled: Tensor) -> tuple[Tensor, Tensor]:
    """Pass labelled and unlabelled crops through the student at once; return both logits."""
    labelled = step.batch.labelled.images
    logits: Tensor = step.passed(step.student, torch.cat([labelled, unlabelled]))
    return logits[: len(labelled)], logits[len(labelled) :]


def noisy(images: Tensor) -> Tensor:
    """Add Gaussian noise of a tenth of a deviation, cut at two tenths."""
    noise = (torch.randn_like(images) * _NOISE).clamp(-2 * _NOISE, 2 * _NOISE)
    return images + noise
