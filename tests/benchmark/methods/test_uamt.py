from __future__ import annotations

import math

import torch

from napari_crii.benchmark.methods import METHODS, Setting
from napari_crii.benchmark.methods.uamt import UncertaintyAware


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
