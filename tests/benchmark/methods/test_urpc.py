from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from napari_crii.benchmark.methods import METHODS, Setting
from napari_crii.benchmark.methods.urpc import rectified_consistency
from tests.benchmark.methods import by_hand


@pytest.mark.parametrize(("progress", "pool"), by_hand.MOMENTS)
def test_the_loss_equals_its_formula(sure_step, progress: float, pool: float) -> None:
    step = sure_step("urpc", progress)
    labelled, rest = step.batch.labelled, step.batch.unlabelled
    said = [by_hand.supervised(z, labelled) for z in step.student(labelled.images)]
    rectified, spread = eq_5(step.student(rest.strong[0]))
    assert len(said) == 4
    assert min(rectified, spread) > 0.01
    weight = pool * 0.1 * by_hand.ramp(progress)
    expected = sum(said) / 4 + weight * (rectified + spread)
    found = METHODS["urpc"].objective(Setting(3, pool_weight=pool))(step)
    assert float(found.detach()) == pytest.approx(expected, rel=1e-4)


def test_rectified_consistency_equals_its_formula() -> None:
    scales = torch.randn(3, 1, 2, 4, 5, generator=torch.Generator().manual_seed(0))
    found = float(rectified_consistency(scales))
    assert found == pytest.approx(sum(eq_5(list(scales))), rel=1e-3)


def test_equal_scales_cost_nothing() -> None:
    one = torch.randn(1, 2, 2, 4, 5)
    assert float(rectified_consistency(one.repeat(4, 1, 1, 1, 1))) == pytest.approx(0, abs=1e-6)


def test_each_scale_is_what_its_head_says_enlarged(build) -> None:
    network, image = build(METHODS["urpc"]), torch.randn(1, 1, 32, 48)
    said: list[Tensor] = []
    for head in network.heads:
        head.register_forward_hook(lambda _, __, logits: said.append(logits))
    found = network(image)
    assert [tuple(z.shape[2:]) for z in said] == [(4, 6), (8, 12), (16, 24), (32, 48)]
    for small, wide in zip(said, found, strict=True):
        expected = functional.interpolate(small, (32, 48), mode="bilinear", align_corners=False)
        torch.testing.assert_close(wide, expected)
    assert torch.equal(METHODS["urpc"].logits(network, image), network(image)[3])


def eq_5(scales: list[Tensor]) -> tuple[float, float]:
    """Return both terms, pixel by pixel: squared distance weighed by certainty, mean divergence."""
    p = np.stack([by_hand.softmax(z) for z in scales])
    mean = sum(p) / len(p)
    above = below = spread = 0.0
    pixels = list(np.ndindex(p.shape[0], p.shape[1], *p.shape[3:]))
    for s, b, i, j in pixels:
        a, m = p[s, b, :, i, j], mean[b, :, i, j]
        divergence = float((a * np.log(a / m)).sum())
        above += np.exp(-divergence) * float(((a - m) ** 2).sum())
        below += np.exp(-divergence)
        spread += divergence
    return above / below, spread / len(pixels)
