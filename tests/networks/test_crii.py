from __future__ import annotations

import pytest
import torch

from napari_crii.errors import CheckpointError
from napari_crii.networks import CRIINet, NetworkConfig, seeded
from napari_crii.networks.crii import pad_to_stride
from tests.factories import small_network


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("shape", [(1, 1), (16, 32), (17, 31), (45, 70)])
def test_logits_have_the_size_of_the_image_whatever_it_is(
    classes: int, shape: tuple[int, int]
) -> None:
    network = small_network(classes=classes)
    logits = network(torch.randn(2, 1, *shape))
    assert logits.coarse.shape == logits.refined.shape == (2, classes, *shape)


@pytest.mark.parametrize("classes", [2, 4])
def test_refined_equals_coarse_at_initialisation(classes: int) -> None:
    logits = small_network(classes=classes)(torch.randn(2, 1, 33, 47))
    assert torch.equal(logits.refined, logits.coarse)


def test_refined_differs_from_coarse_once_its_head_has_weights() -> None:
    logits = small_network(settled=True)(torch.randn(1, 1, 33, 47))
    assert not torch.allclose(logits.refined, logits.coarse)


def test_no_gradient_from_the_refined_output_into_the_coarse_head() -> None:
    network = small_network(settled=True)
    network(torch.randn(2, 1, 32, 48)).refined.square().sum().backward()
    assert all(p.grad is None for p in network.coarse_head.parameters())
    assert all(p.grad is None for p in network.refined_stem.parameters()) is False
    assert any(bool(p.grad.any()) for p in network.encoder.parameters())


def test_the_refined_branch_reads_the_coarse_output_without_a_gradient() -> None:
    network = small_network(settled=True)
    image, coarse = torch.randn(1, 1, 16, 32), torch.randn(1, 2, 16, 32, requires_grad=True)
    refined, _ = network._refine(image, coarse.detach(), torch.randn(1, 4, 16, 32))
    assert refined.requires_grad
    refined.sum().backward()
    assert coarse.grad is None


def test_the_coarse_output_does_not_depend_on_the_refined_branch() -> None:
    network, image = small_network(settled=True), torch.randn(1, 1, 20, 24)
    before = network(image).coarse
    for part in (network.refined_stem, network.refined_body, network.refined_head):
        for parameter in part.parameters():
            torch.nn.init.normal_(parameter)
    assert torch.equal(network(image).coarse, before)


def test_a_slice_gives_the_same_alone_and_in_a_batch() -> None:
    network, images = small_network(settled=True), torch.randn(5, 1, 37, 50)
    with torch.inference_mode():
        together, alone = network(images), [network(image[None]) for image in images]
    for branch in (0, 1):
        torch.testing.assert_close(
            together[branch], torch.cat([a[branch] for a in alone]), atol=1e-5, rtol=1e-5
        )


def test_neighbouring_slices_are_channels() -> None:
    network = small_network(in_channels=5)
    image = torch.randn(1, 5, 32, 32)
    changed = image.clone()
    changed[:, 4] += 1.0
    assert not torch.allclose(network(image).coarse, network(changed).coarse)
    with pytest.raises(RuntimeError):
        network(image[:, :3])


def test_embeddings_of_sampled_pixels_have_unit_length() -> None:
    network = small_network(settled=True)
    logits, features = network.forward_with_features(torch.randn(2, 1, 33, 41))
    assert features.shape[0] == 2
    assert features.shape[2:] == logits.refined.shape[2:]
    pixels = features.movedim(1, -1).reshape(-1, features.shape[1])[::97]
    embedded = network.embed(pixels)
    assert embedded.shape == (len(pixels), 4)
    torch.testing.assert_close(embedded.norm(dim=1), torch.ones(len(pixels)))


def test_dropout_acts_in_training_only() -> None:
    network, image = small_network(), torch.randn(1, 1, 32, 32)
    assert torch.equal(network(image).coarse, network(image).coarse)
    network.train()
    assert not torch.equal(network(image).coarse, network(image).coarse)


def test_the_default_network_has_about_two_million_parameters() -> None:
    count = sum(p.numel() for p in CRIINet(NetworkConfig()).parameters())
    assert 1.5e6 < count < 2.5e6


def test_padding_repeats_the_last_row_and_column() -> None:
    image = torch.arange(17 * 30, dtype=torch.float32).reshape(1, 1, 17, 30)
    padded = pad_to_stride(image)
    assert padded.shape == (1, 1, 32, 32)
    assert torch.equal(padded[..., :17, :30], image)
    assert torch.equal(padded[0, 0, 17:, :30], image[0, 0, 16:].expand(15, 30))
    assert torch.equal(padded[0, 0, :17, 30:], image[0, 0, :, 29:].expand(17, 2))


def test_a_seeded_block_repeats_itself_and_leaves_other_chance_alone() -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    with seeded(5):
        first = torch.rand(3)
    assert torch.equal(torch.rand(3), expected)
    with seeded(5):
        assert torch.equal(torch.rand(3), first)
    with seeded(6):
        assert not torch.equal(torch.rand(3), first)


@pytest.mark.parametrize(
    "nonsense",
    [
        {"in_channels": 0},
        {"classes": 1},
        {"refined_width": 0},
        {"embedding": 0},
        {"widths": (4, 4, 4, 4)},
        {"widths": (4, 4, 4, 4, 0)},
        {"dropout": (0.0, 0.0, 0.0, 0.0)},
        {"dropout": (0.0, 0.0, 0.0, 0.0, 1.0)},
        {"dropout": (-0.1, 0.0, 0.0, 0.0, 0.0)},
        {"dropout": (float("nan"), 0.0, 0.0, 0.0, 0.0)},
    ],
)
def test_a_configuration_refuses_nonsense(nonsense: dict[str, object]) -> None:
    with pytest.raises(CheckpointError):
        NetworkConfig(**nonsense)  # type: ignore[arg-type]
