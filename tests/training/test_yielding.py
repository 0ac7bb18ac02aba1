"""How a run gives way to whoever wants the device: between layers, and for how long."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from torch import nn

from napari_crii.training import Stepped, TrainingConfig, fit
from napari_crii.training import yielding as module
from napari_crii.training.yielding import yielding
from tests.factories import disc_slice, small_network
from tests.threads import torch_threads

CONFIG = TrainingConfig(iterations=4, batch=8, crop=48)
CPU = torch.device("cpu")


@pytest.mark.parametrize("threads", [1, 2])
def test_a_run_waits_before_a_step_and_after_each_layer_on_its_way_and_back(threads: int) -> None:
    network, asked, steps = small_network(), [], [0]
    layers = sum(isinstance(layer, nn.Conv2d) for layer in network.modules())

    def wanted() -> bool:
        asked.append(steps[-1])
        return False

    data = [disc_slice(np.random.default_rng(1))]
    with torch_threads(threads):
        for event in fit(network, data, CONFIG, np.random.default_rng(0), wanted=wanted):
            if isinstance(event, Stepped):
                steps.append(event.step)
    # Where a batch is passed in two parts, each part asks for itself.
    each = 1 + 2 * layers * threads
    assert [asked.count(step) for step in range(4)] == [each] * 4
    network(torch.zeros(1, 1, 32, 32))
    assert len(asked) == 4 * each


def test_a_layer_waits_until_nobody_wants_the_device() -> None:
    network, began, passed = small_network(), threading.Event(), threading.Event()
    layer = next(layer for layer in network.modules() if isinstance(layer, nn.Conv2d))
    layer.register_forward_pre_hook(lambda *_: began.set())

    def work() -> None:
        with yielding([network], lambda: not resumed.is_set(), CPU):
            network(torch.zeros(1, 1, 32, 32))
        passed.set()

    resumed = threading.Event()
    thread = threading.Thread(target=work)
    thread.start()
    assert began.wait(20)
    assert not passed.wait(0.05)
    resumed.set()
    thread.join(20)
    assert passed.is_set()


def test_layers_that_are_never_let_go_on_wait_for_a_while_in_each_pass_and_not_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "LONGEST_SECONDS", 0.1)
    network, image = small_network(), torch.zeros(1, 1, 32, 32)
    asked: list[int] = []

    def wanted() -> bool:
        asked.append(1)
        return True

    with yielding([network], wanted, CPU):
        times = []
        for _ in range(2):
            asked.clear()
            network(image).refined.sum().backward()
            times.append(len(asked))
    # Every two milliseconds until the tenth of a second is over, and then no more.
    assert all(10 < count < 60 for count in times)
