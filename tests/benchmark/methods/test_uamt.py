from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from napari_crii.benchmark.methods import METHODS, Setting
from napari_crii.benchmark.methods.uamt import UncertaintyAware
from tests.benchmark.methods import by_hand


def test_uncertainty_is_an_entropy_of_dropout_passes(step_of) -> None:
    step = step_of("uamt")
    found = UncertaintyAware(Setting(2)).uncertainty(step, step.batch.unlabelled.weak)
    assert found.shape == (2, 32, 32)
    assert float(found.min()) >= 0
    assert float(found.max()) <= math.log(2) + 1e-4


def test_pixels_of_an_uncertain_teacher_are_left_out(step_of) -> None:
    step = step_of("uamt", progress=0.0)
    with torch.no_grad():
        step.teacher.head.weight.zero_()
        step.teacher.head.bias.zero_()
    supervised = METHODS["supervised_strong"].objective(Setting(2))(step)
    # Everything is at maximal entropy, above three quarters of it: no pixel teaches.
    assert float(UncertaintyAware(Setting(2))(step).detach()) == float(supervised.detach())


@pytest.mark.parametrize(("progress", "pool"), by_hand.MOMENTS)
def test_the_loss_equals_its_formula(sure_step, progress: float, pool: float) -> None:
    step = sure_step("uamt", progress, gain=6.0)
    labelled, rest = step.batch.labelled, step.batch.unlabelled
    torch.manual_seed(1)
    taught = by_hand.softmax(step.teacher(disturbed(rest.weak)))
    step.teacher.train()
    passes = [by_hand.softmax(step.teacher(disturbed(rest.weak))) for _ in range(8)]
    step.teacher.eval()
    mean = sum(passes) / 8
    entropy = -(mean * np.log(mean)).sum(axis=1)
    ramp = by_hand.ramp(progress)
    certain = entropy < (0.75 + 0.25 * ramp) * math.log(3)
    # Another threshold would let others through.
    assert ((entropy > 0.5 * math.log(3)) & certain).any()
    assert 0.2 < certain.mean() < 0.99
    guessed = by_hand.softmax(step.student(rest.strong[0]))
    distance = float(((guessed - taught) ** 2).mean(axis=1)[certain].mean())
    assert distance > 0.01
    said = by_hand.supervised(step.student(labelled.images), labelled)
    torch.manual_seed(1)
    found = METHODS["uamt"].objective(Setting(3, pool_weight=pool))(step)
    assert float(found.detach()) == pytest.approx(said + pool * 0.1 * ramp * distance, rel=1e-4)


def disturbed(images: Tensor) -> Tensor:
    return images + (0.1 * torch.randn(images.shape)).clamp(-0.2, 0.2)
