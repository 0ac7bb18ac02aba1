from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from napari_crii.losses import RankedConfig, intra_patch_loss
from napari_crii.losses.intra_patch import _bands, boundary
from tests.factories import disc

CONFIG = RankedConfig()


def disc_labels() -> torch.Tensor:
    return torch.from_numpy(disc((40, 48), (19, 25), (9, 12))).long()[None]


def loss_of(
    features: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor, seed: int = 0
) -> torch.Tensor:
    logits = torch.zeros(len(labels), 2, *labels.shape[1:])
    torch.manual_seed(seed)
    return intra_patch_loss(
        lambda x: functional.normalize(x, dim=1), features, logits, labels, weights, CONFIG
    )


def test_boundary_and_bands_equal_a_loop() -> None:
    label = torch.tensor([[[0, 0, 0, 1, 1], [0, 0, 2, 1, 1], [0, 0, 0, 1, 1]]])
    rows, columns = label.shape[1:]
    found, bands = boundary(label, 2), _bands(label, 2, 1)
    for i in range(rows):
        for j in range(columns):
            near = label[0, max(0, i - 1) : i + 2, max(0, j - 1) : j + 2]
            known = near[near < 2]
            own = int(label[0, i, j])
            assert bool(found[0, i, j]) == (own < 2 and bool((known != own).any()))
            for k in range(2):
                meets = bool((known == k).any()) and bool((known != k).any())
                assert bool(bands[0, k, i, j]) == meets


def test_features_that_are_the_class_cost_nothing_and_mixed_ones_do() -> None:
    labels = disc_labels()
    weights = torch.ones(labels.shape)
    perfect = functional.one_hot(labels, 2).movedim(-1, 1).float()
    assert float(loss_of(perfect, labels, weights)) == pytest.approx(0, abs=1e-6)
    noise = torch.randn(1, 8, 40, 48, generator=torch.Generator().manual_seed(0))
    assert float(loss_of(noise, labels, weights)) > 0.1


def test_labels_and_features_that_nobody_said_change_no_bit() -> None:
    labels = disc_labels()
    weights = torch.ones(labels.shape)
    weights[:, :, 28:] = 0
    features = torch.randn(1, 8, 40, 48, generator=torch.Generator().manual_seed(1))
    changed, other = features.clone(), labels.clone()
    changed[..., 28:] = 7.0
    other[..., 28:] = 1 - other[..., 28:]
    assert torch.equal(loss_of(features, labels, weights), loss_of(changed, other, weights))


@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_without_a_boundary_it_is_a_finite_zero_with_a_graph(label: int, weight: float) -> None:
    features = torch.randn(2, 4, 32, 32).requires_grad_()
    labels = torch.full((2, 32, 32), label)
    loss = loss_of(features, labels, torch.full((2, 32, 32), weight))
    loss.backward()
    assert float(loss.detach()) == 0
    assert torch.equal(features.grad, torch.zeros_like(features))


def test_it_falls_and_the_gap_between_classes_grows_on_one_overfitted_image() -> None:
    labels = disc_labels()
    weights = torch.ones(labels.shape)
    draw = torch.Generator().manual_seed(2)
    grey = labels.float()[:, None] + 0.3 * torch.randn(1, 1, 40, 48, generator=draw)
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 8, 5, padding=2), nn.LeakyReLU(), nn.Conv2d(8, 8, 5, padding=2)
    )
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-2)

    def gap() -> float:
        vectors = functional.normalize(net(grey), dim=1)[0].flatten(1).detach()
        inside = labels[0].flatten() == 1
        one, other = vectors[:, inside].mean(1), vectors[:, ~inside].mean(1)
        same = (vectors[:, inside] - one[:, None]).norm(dim=0).mean()
        return float((vectors[:, inside] - other[:, None]).norm(dim=0).mean() - same)

    before, losses = gap(), []
    for step in range(40):
        loss = loss_of(net(grey), labels, weights, seed=step)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])
    assert gap() > before + 0.3
