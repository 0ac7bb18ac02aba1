from __future__ import annotations

import pytest
import torch

from napari_crii.benchmark.methods import METHODS
from napari_crii.benchmark.methods.mcnet import sharpened


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
