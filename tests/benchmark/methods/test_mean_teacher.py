from __future__ import annotations

import pytest
import torch
from torch import Tensor

from napari_crii.benchmark.methods import METHODS, Setting
from tests.benchmark.methods import by_hand


@pytest.mark.parametrize(("progress", "pool"), by_hand.MOMENTS)
def test_the_loss_equals_its_formula(sure_step, progress: float, pool: float) -> None:
    step = sure_step("mean_teacher", progress)
    labelled, rest = step.batch.labelled, step.batch.unlabelled
    torch.manual_seed(1)
    taught = by_hand.softmax(step.teacher(disturbed(rest.weak)))
    guessed = by_hand.softmax(step.student(rest.strong[0]))
    distance = float(((guessed - taught) ** 2).mean())
    assert distance > 0.01
    # The ramp is over after four tenths of the run.
    weight = pool * 0.1 * by_hand.ramp(progress / 0.4)
    expected = by_hand.supervised(step.student(labelled.images), labelled) + weight * distance
    torch.manual_seed(1)
    found = METHODS["mean_teacher"].objective(Setting(3, pool_weight=pool))(step)
    assert float(found.detach()) == pytest.approx(expected, rel=1e-4)


def disturbed(images: Tensor) -> Tensor:
    return images + (0.1 * torch.randn(images.shape)).clamp(-0.2, 0.2)
