from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_crii.benchmark.methods import METHODS, Setting
from tests.benchmark.methods import by_hand


@pytest.mark.parametrize(("progress", "pool"), by_hand.MOMENTS)
def test_the_loss_equals_its_formula(sure_step, progress: float, pool: float) -> None:
    step = sure_step("cps", progress)
    labelled = step.batch.labelled
    images = torch.cat([labelled.images, step.batch.unlabelled.strong[0]])
    first, second = step.student.first(images), step.student.second(images)
    p, q = by_hand.softmax(first), by_hand.softmax(second)
    everywhere = np.ones(p[:, 0].shape)
    one = by_hand.cross_entropy(p, q.argmax(axis=1), everywhere)
    other = by_hand.cross_entropy(q, p.argmax(axis=1), everywhere)
    assert min(one, other, abs(one - other)) > 0.01
    count = len(labelled.images)
    said = sum(by_hand.supervised(z[:count], labelled) for z in (first, second))
    # Half of 1.5, as supervision is halved; the ramp is over after four tenths of the run.
    weight = pool * 0.75 * by_hand.ramp(progress / 0.4)
    found = METHODS["cps"].objective(Setting(3, pool_weight=pool))(step)
    assert float(found.detach()) == pytest.approx(said + weight * (one + other), rel=1e-4)


def test_the_first_network_is_tested(build) -> None:
    method = METHODS["cps"]
    network, image = build(method), torch.randn(1, 1, 32, 32)
    assert torch.equal(method.logits(network, image), network.first(image))
    assert not torch.allclose(network.first(image), network.second(image))
