from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_crii.training import TrainingSlice
from napari_crii.training.augmentation import (
    Photometry,
    Placement,
    adjust,
    crop,
    draw_photometry,
    draw_placement,
)
from tests.factories import disc

NO_BEND = np.zeros((2, 5, 5))


def slice_of(label: np.ndarray) -> TrainingSlice:
    """Return a slice whose image is its label."""
    return TrainingSlice(
        image=torch.from_numpy(label[None].astype(np.float32)),
        label=torch.from_numpy(label.astype(np.int64)),
        weight=torch.ones(label.shape),
    )


@pytest.mark.parametrize("corner", [(0, 0), (5, 9), (8, 16)])
def test_an_identity_placement_cuts_the_crop_out_as_it_is(
    rng: np.random.Generator, corner: tuple[int, int]
) -> None:
    label = rng.integers(0, 4, (24, 33))
    top, left = corner
    center = (top + 7.5, left + 7.5)
    image, cut, weight = crop(slice_of(label), Placement(center, np.eye(2), NO_BEND), 16)
    wanted = torch.from_numpy(label[top : top + 16, left : left + 16])
    assert torch.equal(cut, wanted)
    assert torch.equal(weight, torch.ones(16, 16))
    torch.testing.assert_close(image[0], wanted.float(), atol=1e-4, rtol=0)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_image_and_label_move_together(seed: int) -> None:
    rng = np.random.default_rng(seed)
    item = slice_of(disc((60, 84), (31, 40), (17, 24)).astype(int))
    placement = draw_placement(rng, (30.0, 41.0))
    image, label, weight = crop(item, placement, 48)
    # Linear and nearest interpolation differ within a pixel of an edge only.
    certain = (image[0] < 1e-3) | (image[0] > 1 - 1e-3)
    agree = (image[0] > 0.5) == (label > 0)
    assert bool(agree[certain & (weight > 0)].all())
    assert float(agree[weight > 0].float().mean()) > 0.97


def test_nothing_outside_the_slice_has_weight() -> None:
    item = slice_of(np.ones((20, 30), dtype=int))
    image, label, weight = crop(item, Placement((-0.5, -0.5), np.eye(2), NO_BEND), 16)
    assert weight.sum() == 8 * 8
    assert bool((weight[8:, 8:] == 1).all())
    assert bool((label[weight == 0] == 0).all())
    assert bool((image == 1).all())
    _, _, nowhere = crop(item, Placement((-90.0, 400.0), np.eye(2), NO_BEND), 16)
    assert not nowhere.any()


def test_a_quarter_turn_turns_the_crop(rng: np.random.Generator) -> None:
    label = rng.integers(0, 3, (16, 16))
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])
    _, cut, _ = crop(slice_of(label), Placement((7.5, 7.5), turn, NO_BEND), 16)
    assert np.array_equal(cut.numpy(), np.rot90(label, -1)) or np.array_equal(
        cut.numpy(), np.rot90(label)
    )
    assert not np.array_equal(cut.numpy(), label)


def test_strength_zero_is_the_identity(rng: np.random.Generator) -> None:
    for _ in range(20):
        placement = draw_placement(rng, (3.0, 4.0), strength=0.0)
        assert np.array_equal(placement.matrix, np.eye(2))
        assert not placement.bend.any()


@pytest.mark.parametrize(
    ("axes", "mirrored"), [((), {1}), ((0,), {1, -1}), ((1,), {1, -1}), ((0, 1), {1, -1})]
)
def test_slices_are_mirrored_only_along_the_axes_that_allow_it(
    rng: np.random.Generator, axes: tuple[int, ...], mirrored: set[int]
) -> None:
    signs = {
        int(np.sign(np.linalg.det(draw_placement(rng, (0.0, 0.0), axes).matrix))) for _ in range(40)
    }
    assert signs == mirrored


def test_without_change_photometry_keeps_every_value() -> None:
    image = torch.randn(2, 9, 11)
    same = adjust(image, Photometry(1, 0, 1, 0, 0), torch.Generator())
    assert torch.equal(same, image)


def test_photometry_stays_finite_and_keeps_the_shape(rng: np.random.Generator) -> None:
    generator = torch.Generator().manual_seed(0)
    for image in (torch.zeros(1, 16, 16), torch.randn(3, 16, 16), torch.full((1, 16, 16), -4.0)):
        for _ in range(20):
            changed = adjust(image, draw_photometry(rng), generator)
            assert changed.shape == image.shape
            assert bool(torch.isfinite(changed).all())


def test_blur_keeps_a_flat_image_and_the_mean() -> None:
    blurred = adjust(torch.full((2, 12, 15), 3.0), Photometry(1, 0, 1, 1.0, 0), torch.Generator())
    torch.testing.assert_close(blurred, torch.full((2, 12, 15), 3.0))


def test_turned_crops_are_turned_by_quarter_turns_in_their_share() -> None:
    rng = np.random.default_rng(0)
    angles = []
    for _ in range(400):
        matrix = draw_placement(rng, (0.0, 0.0), (), turned=0.4).matrix
        angles.append(np.arctan2(matrix[1, 0], matrix[0, 0]))
    quarters = np.round(np.array(angles) / (np.pi / 2)).astype(int) % 4
    shares = np.bincount(quarters, minlength=4) / len(quarters)
    assert np.allclose(shares, (0.6, 0.4 / 3, 0.4 / 3, 0.4 / 3), atol=0.07)


def test_without_turned_crops_chance_is_what_it_was() -> None:
    one = draw_placement(np.random.default_rng(3), (0.0, 0.0))
    other = draw_placement(np.random.default_rng(3), (0.0, 0.0), turned=0.0)
    assert np.array_equal(one.matrix, other.matrix)
    assert np.array_equal(one.bend, other.bend)
