from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from napari_crii.benchmark.methods import METHODS, Setting


def test_each_network_learns_the_others_labels(step_of) -> None:
    step = step_of("cps")
    labelled = step.batch.labelled
    images = torch.cat([labelled.images, step.batch.unlabelled.strong[0]])
    first, second = (z.detach() for z in step.student(images))
    assert not torch.allclose(first, second)
    cross = functional.cross_entropy(first, second.argmax(1))
    cross += functional.cross_entropy(second, first.argmax(1))
    floor = METHODS["supervised_strong"].objective(Setting(2))
    both = sum(
        float(floor(type(step)(n, n, step.batch, 0.9)).detach())
        for n in (step.student.first, step.student.second)
    )
    found = float(METHODS["cps"].objective(Setting(2))(step).detach())
    assert found == pytest.approx(both + 0.75 * float(cross), rel=1e-4)
