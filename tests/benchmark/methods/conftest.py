"""A step of tiny crops, for every method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from napari_crii.benchmark.methods import METHODS, Method
from napari_crii.networks import NetworkConfig, seeded
from napari_crii.training import TrainingConfig
from napari_crii.training.method import MethodConfig
from napari_crii.training.objectives import Step
from napari_crii.training.streams import StreamSampler, without_labels
from tests.factories import disc_slice

TINY = NetworkConfig(widths=(4, 4, 8, 8, 8), refined_width=8, embedding=4)


@pytest.fixture
def step_of() -> Callable[..., Step]:
    """Build a step in which the student is the teacher."""

    def build(
        name: str, progress: float = 0.9, seed: int = 0, network: Any = None, classes: int = 2
    ) -> Step:
        method = METHODS[name]
        rng = np.random.default_rng(seed)
        data = [disc_slice(rng) for _ in range(2)]
        data[0].label[data[0].label > 0] = classes - 1
        data += without_labels([disc_slice(rng) for _ in range(3)])
        streams = MethodConfig(unlabelled=method.unlabelled)
        config = TrainingConfig(batch=2, crop=32, method=streams)
        batch = StreamSampler(data, config, rng, method.strong_views).draw()
        network = network or tiny(method, classes=classes)
        return Step(network, network, batch, progress)

    return build


def tiny(method: Method, seed: int = 0, classes: int = 2) -> nn.Module:
    with seeded(seed):
        return method.network(replace(TINY, classes=classes)).eval()


@pytest.fixture
def build() -> Callable[..., nn.Module]:
    return tiny


@pytest.fixture
def sure_step(step_of) -> Callable[..., Step]:
    """Build a step of three classes whose teacher is no student, both decided nearly everywhere.

    Some pixels of one labelled crop do not count, some of the other half.
    """

    def build(name: str, progress: float, gain: float = 8.0) -> Step:
        step = step_of(name, progress, classes=3)
        labelled, rest = step.batch.labelled, step.batch.unlabelled
        labelled.weights[0, :5] = 0.0
        labelled.weights[1, :, :9] *= 0.5
        images = labelled.images if rest is None else rest.weak
        networks = (tiny(METHODS[name], seed, classes=3) for seed in (0, 1))
        student, teacher = (decided(network, images, gain) for network in networks)
        return replace(step, student=student, teacher=teacher)

    return build


def decided(network: nn.Module, images: torch.Tensor, gain: float) -> nn.Module:
    """Scale what each head says, and centre it, so that no class is said alone."""
    heads = [m for n, m in network.named_modules() if "head" in n and isinstance(m, nn.Conv2d)]

    def centre(head: nn.Conv2d, _: Any, logits: torch.Tensor) -> None:
        head.bias -= logits.mean((0, 2, 3))

    with torch.no_grad():
        for head in heads:
            head.weight *= gain
        hooks = [head.register_forward_hook(centre) for head in heads]
        network(images)
        for hook in hooks:
            hook.remove()
    return network


@pytest.fixture(autouse=True)
def chance() -> None:
    torch.manual_seed(0)
