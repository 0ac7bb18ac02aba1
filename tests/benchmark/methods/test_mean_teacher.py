from __future__ import annotations

import math

import pytest
import torch

from napari_crii.benchmark.methods import METHODS, Setting
from napari_crii.benchmark.methods.mean_teacher import CONSISTENCY
from napari_crii.benchmark.methods.passes import noisy


def test_consistency_is_the_mean_squared_distance_times_its_ramp(step_of) -> None:
    late, early = step_of("mean_teacher", 0.9), step_of("mean_teacher", 0.0)
    objective, floor = METHODS["mean_teacher"].objective(Setting(2)), METHODS["supervised_strong"]
    supervised = float(floor.objective(Setting(2))(late).detach())
    torch.manual_seed(1)
    target = late.teacher(noisy(late.batch.unlabelled.weak)).softmax(1)
    guess = late.student(late.batch.unlabelled.strong[0]).softmax(1)
    expected = CONSISTENCY * float((guess - target).square().mean().detach())
    for step, ramp in ((late, 1.0), (early, math.exp(-5))):
        torch.manual_seed(1)
        found = float(objective(step).detach()) - supervised
        assert found == pytest.approx(ramp * expected, abs=2e-6)
