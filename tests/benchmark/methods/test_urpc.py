from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_crii.benchmark.methods.urpc import rectified_consistency


def test_rectified_consistency_equals_its_formula() -> None:
    scales = torch.randn(3, 1, 2, 4, 5, generator=torch.Generator().manual_seed(0))
    p = scales.double().softmax(2).numpy()
    mean = p.mean(0)
    above = below = spread = 0.0
    for s in range(3):
        for i, j in np.ndindex(4, 5):
            a, b = p[s, 0, :, i, j], mean[0, :, i, j]
            divergence = float((a * np.log(a / b)).sum())
            above += np.exp(-divergence) * float(((a - b) ** 2).sum())
            below += np.exp(-divergence)
            spread += divergence
    expected = above / below + spread / (3 * 20)
    assert float(rectified_consistency(scales)) == pytest.approx(expected, rel=1e-3)


def test_equal_scales_cost_nothing() -> None:
    one = torch.randn(1, 2, 2, 4, 5)
    assert float(rectified_consistency(one.repeat(4, 1, 1, 1, 1))) == pytest.approx(0, abs=1e-6)
