from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from napari_crii.backend import REFERENCE, Backend, candidates, fastest
from napari_crii.errors import DeviceError
from napari_crii.inference import Predictor
from napari_crii.networks import BranchLogits
from tests.factories import noise_scan, small_checkpoint, small_network

LAST, PLAIN = Backend("cpu", True), Backend("cpu", False)


class Sensitive(nn.Module):
    """Says something else, or nothing, where images lie channels last."""

    def __init__(self, difference: float = 0.0, breaks: bool = False) -> None:
        super().__init__()
        self.difference = difference
        self.breaks = breaks

    def forward(self, image: Tensor) -> BranchLogits:
        last = image.is_contiguous(memory_format=torch.channels_last)
        if last and self.breaks:
            raise RuntimeError("out of memory")
        logits = torch.stack([torch.zeros_like(image[:, 0]), image[:, 0]], dim=1)
        return BranchLogits(
            logits, logits + self.difference * last * torch.tensor([1, -1.0])[:, None, None]
        )


@pytest.fixture
def image() -> Tensor:
    return torch.randn((1, 2, 20, 28), generator=torch.Generator().manual_seed(0))


def clock(*durations: float) -> Iterator[float]:
    """Yield the moments at which runs of these durations start and end."""
    now = 0.0
    for duration in durations:
        yield now
        now += duration
        yield now


def chosen(network: nn.Module, image: Tensor, last: float, plain: float) -> Backend:
    """Choose where runs take so many seconds, and the first of each longer."""
    moments = clock(9, 9, 9, last, last, last, 9, plain, plain, plain)
    return fastest(network, image, [LAST, PLAIN], lambda: next(moments))


def test_the_faster_one_is_chosen(image: Tensor) -> None:
    assert chosen(Sensitive(), image, last=1, plain=2) == LAST
    assert chosen(Sensitive(), image, last=2, plain=1) == PLAIN


def test_what_finds_other_classes_is_not_chosen_however_fast(image: Tensor) -> None:
    assert chosen(Sensitive(difference=5), image, last=1, plain=2) == PLAIN


def test_differences_that_rounding_decides_do_not_matter(image: Tensor) -> None:
    assert chosen(Sensitive(difference=1e-5), image, last=1, plain=2) == LAST


def test_what_breaks_is_not_chosen(image: Tensor) -> None:
    network = Sensitive(breaks=True)
    assert fastest(network, image, [LAST]) == REFERENCE
    assert fastest(network, image, [Backend("no such device")]) == REFERENCE


def test_a_real_network_is_tried_and_left_as_it_is(image: Tensor) -> None:
    network = small_network(settled=True, in_channels=2)
    before = copy.deepcopy(network.state_dict())
    assert fastest(network, image) in candidates()
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_the_processor_is_always_there() -> None:
    assert {LAST, PLAIN} <= set(candidates())
    assert str(LAST) == "cpu, channels last"


def test_predictions_do_not_depend_on_the_layout() -> None:
    scan = noise_scan()
    one, other = (
        Predictor(small_checkpoint(), channels_last=last).predict_slice(scan, 1)
        for last in (True, False)
    )
    np.testing.assert_allclose(one.refined, other.refined, atol=1e-5)
    assert np.mean(one.labels() == other.labels()) > 0.999


def test_the_device_that_the_user_names_is_the_only_one_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NAPARI_CRII_DEVICE", "cpu")
    assert {backend.device for backend in candidates()} == {"cpu"}
    monkeypatch.setenv("NAPARI_CRII_DEVICE", "cuda:7")
    with pytest.raises(DeviceError, match="there is no device 'cuda:7' here"):
        candidates()
