"""Labelled slices only: the floor, and with all labels the ceiling."""

from __future__ import annotations

from torch import Tensor

from napari_crii.benchmark.methods.backbone import UNet
from napari_crii.benchmark.methods.method import Method, Setting, supervised
from napari_crii.training.objectives import Step


class Supervised:
    """Cross-entropy and Dice on labelled crops."""

    def __init__(self, setting: Setting) -> None:
        del setting

    def __call__(self, step: Step) -> Tensor:
        """Return the supervised loss."""
        labelled = step.batch.labelled
        return supervised(step.passed(step.student, labelled.images), labelled)


SUPERVISED_WEAK = Method(UNet, Supervised, unlabelled=False, weak=True)
SUPERVISED_STRONG = Method(UNet, Supervised, unlabelled=False)
FULL = Method(UNet, Supervised, unlabelled=False, all_labels=True)
