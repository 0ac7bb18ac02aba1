from __future__ import annotations

import pytest
import torch

from napari_crii.benchmark.methods import METHODS, Setting
from napari_crii.benchmark.methods.mcnet import sharpened
from tests.benchmark.methods import by_hand


@pytest.mark.parametrize(("progress", "pool"), by_hand.MOMENTS)
def test_the_loss_equals_its_formula(sure_step, progress: float, pool: float) -> None:
    step = sure_step("mcnet", progress)
    labelled = step.batch.labelled
    images = torch.cat([labelled.images, step.batch.unlabelled.strong[0]])
    first, second = step.student(images)
    p, q = by_hand.softmax(first), by_hand.softmax(second)
    one = float(((p - eq_1(q)) ** 2).mean())
    other = float(((q - eq_1(p)) ** 2).mean())
    assert min(one, other, abs(one - other)) > 0.001
    count = len(labelled.images)
    said = sum(by_hand.supervised(z[:count], labelled) for z in (first, second))
    weight = pool * 0.1 * by_hand.ramp(progress)
    found = METHODS["mcnet"].objective(Setting(3, pool_weight=pool))(step)
    assert float(found.detach()) == pytest.approx(said + weight * (one + other), rel=1e-4)


def test_sharpening_equals_its_formula_and_keeps_the_sum() -> None:
    p = torch.tensor([0.4, 0.6])[None, :, None, None]
    found = sharpened(p).flatten().tolist()
    assert found[1] == pytest.approx(0.6**10 / (0.6**10 + 0.4**10), rel=1e-4)
    assert sum(found) == pytest.approx(1)
    extreme = sharpened(torch.tensor([0.0, 1.0])[None, :, None, None])
    assert torch.equal(extreme.round(), torch.tensor([0.0, 1.0])[None, :, None, None])


def test_the_decoders_differ_and_the_first_is_tested(build) -> None:
    method = METHODS["mcnet"]
    network, image = build(method), torch.randn(1, 1, 32, 32)
    first, second = network(image)
    assert torch.equal(method.logits(network, image), first)
    assert not torch.allclose(first, second)


def eq_1(p: by_hand.Array) -> by_hand.Array:
    """Return the tenth power, 1 / T for T = 0.1, normalised over the classes."""
    powers = p**10
    return powers / powers.sum(axis=1, keepdims=True)
