from __future__ import annotations

import pytest
import torch

from napari_crii.benchmark.methods import METHODS
from napari_crii.benchmark.methods.crii import CRII


@pytest.mark.parametrize("name", CRII)
def test_the_refined_output_is_tested(build, name: str) -> None:
    network, image = build(METHODS[name]), torch.randn(1, 1, 32, 32)
    torch.nn.init.normal_(network.refined_head.weight)
    logits = METHODS[name].logits(network, image)
    assert torch.equal(logits, network(image).refined)
    assert not torch.equal(logits, network(image).coarse)
