from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from napari_crii.losses import DescriptorMemory, RankedConfig, inter_patch_loss
from napari_crii.losses.inter_patch import Descriptors, contrast_to_noise

CONFIG = RankedConfig()


def material() -> tuple[torch.Tensor, torch.Tensor]:
    """Return images and labels: 16-pixel squares of rising contrast in 24-pixel tiles."""
    labels = torch.zeros(1, 48, 96, dtype=torch.long)
    images = 0.2 * torch.randn(1, 1, 48, 96, generator=torch.Generator().manual_seed(0))
    for i, contrast in enumerate((0.1, 0.3, 0.6, 1.0, 1.5, 2.0, 3.0, 4.0)):
        row, column = 24 * (i // 4) + 4, 24 * (i % 4) + 4
        labels[0, row : row + 16, column : column + 16] = 1
        images[0, 0, row : row + 16, column : column + 16] += contrast
    return images, labels


def loss_of(
    features: torch.Tensor,
    images: torch.Tensor,
    labels: torch.Tensor,
    weights: torch.Tensor | None = None,
    memory: DescriptorMemory | None = None,
    classes: int = 2,
) -> torch.Tensor:
    torch.manual_seed(0)
    said = torch.ones(labels.shape) if weights is None else weights
    return inter_patch_loss(
        lambda x: functional.normalize(x, dim=1), features, images, labels, said,
        memory or DescriptorMemory(16), CONFIG, classes,
    )  # fmt: skip


def test_contrast_equals_its_formula() -> None:
    grey = torch.randn(3, 20, generator=torch.Generator().manual_seed(1))
    inside = torch.rand(3, 20, generator=torch.Generator().manual_seed(2)) < 0.4
    found = contrast_to_noise(grey, inside, ~inside)
    for value, g, m in zip(found, grey.double().numpy(), inside.numpy(), strict=True):
        expected = abs(g[m].mean() - g[~m].mean()) / np.sqrt(g[m].var() + g[~m].var())
        assert float(value) == pytest.approx(expected, rel=1e-4)


def test_patches_alike_inside_and_unlike_their_surround_cost_nothing() -> None:
    images, labels = material()
    perfect = functional.one_hot(labels, 2).movedim(-1, 1).float()
    assert float(loss_of(perfect, images, labels)) == pytest.approx(0, abs=1e-6)


def test_a_faint_object_that_looks_like_surround_costs() -> None:
    images, labels = material()
    features = functional.one_hot(labels, 2).movedim(-1, 1).float()
    features[:, :, :24, :24] = torch.tensor([1.0, 0.0])[None, :, None, None]
    assert float(loss_of(features, images, labels)) > 0.2


def test_an_object_of_middling_contrast_is_neither_anchor_nor_positive() -> None:
    images, labels = material()
    features = functional.one_hot(labels, 2).movedim(-1, 1).float()
    features[:, :, :24, 72:] = torch.tensor([1.0, 0.0])[None, :, None, None]
    assert float(loss_of(features, images, labels)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("label", [0, 1])
def test_without_a_mixed_patch_it_is_a_finite_zero_with_a_graph(classes: int, label: int) -> None:
    features = torch.randn(2, 4, 48, 48).requires_grad_()
    labels = torch.full((2, 48, 48), label)
    loss = loss_of(features, torch.randn(2, 1, 48, 48), labels, classes=classes)
    loss.backward()
    assert float(loss.detach()) == 0
    assert torch.equal(features.grad, torch.zeros_like(features))


def test_what_nobody_said_changes_no_bit() -> None:
    images, labels = material()
    weights = torch.ones(labels.shape)
    weights[:, 24:, 48:] = 0
    features = torch.randn(1, 4, 48, 96, generator=torch.Generator().manual_seed(3))
    changed, other = features.clone(), labels.clone()
    changed[:, :, 24:, 48:] = 5.0
    other[:, 24:, 48:] = 1 - other[:, 24:, 48:]
    same = loss_of(features, images, labels, weights)
    assert torch.equal(same, loss_of(changed, images, other, weights))
    assert float(same) > 0


def test_the_memory_is_first_in_first_out_and_keeps_no_graph() -> None:
    memory = DescriptorMemory(5)
    for start in (0, 3, 6):
        rank = torch.arange(start, start + 3.0)
        part = torch.stack([rank, rank], dim=1).requires_grad_()
        memory.remember(1, Descriptors(part, part, rank))
    kept = memory.recall(1, Descriptors(part, part, rank))
    assert kept.contrast.tolist() == [4, 5, 6, 7, 8]
    assert kept.inside[:, 0].tolist() == [4, 5, 6, 7, 8]
    assert not kept.inside.requires_grad
    assert len(memory.recall(2, kept)) == 0


def test_one_batch_compares_with_those_before_it() -> None:
    images, labels = material()
    memory = DescriptorMemory(16)
    perfect = functional.one_hot(labels, 2).movedim(-1, 1).float()
    loss_of(perfect, images, labels, memory=memory)
    faint, where = images[..., :24, :24], labels[..., :24, :24]
    swapped = 1 - perfect[..., :24, :24]
    assert float(loss_of(swapped, faint, where)) == pytest.approx(0, abs=1e-6)
    assert float(loss_of(swapped, faint, where, memory=memory)) > 0.5
