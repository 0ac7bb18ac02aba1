from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_crii.training.mixing import box_mask, fade, largest_components, paste
from tests.factories import disc


@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.floats(0, 1),
    st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_a_box_lies_inside_and_has_its_share(
    shape: tuple[int, int], share: float, place: tuple[float, float]
) -> None:
    mask = box_mask(shape, share, place)
    assert mask.shape == shape
    assert int(mask.any(1).sum()) == (round(share * shape[0]) if round(share * shape[1]) else 0)
    assert int(mask.sum()) == round(share * shape[0]) * round(share * shape[1])


def test_pasting_takes_every_pixel_from_one_of_both() -> None:
    box = box_mask((6, 8), 0.5, (0.0, 1.0))
    ones, twos = torch.ones(3, 6, 8), 2 * torch.ones(3, 6, 8)
    mixed = paste(ones, twos, box)
    assert bool((mixed[:, box] == 1).all())
    assert bool((mixed[:, ~box] == 2).all())


def test_the_largest_part_of_each_class_stays() -> None:
    labels = torch.zeros(2, 8, 9, dtype=torch.long)
    labels[0, 1:4, 1:4], labels[0, 6, 6] = 1, 1
    labels[0, 6:8, 0:3], labels[0, 0, 8] = 2, 2
    expected = labels.clone()
    expected[0, 6, 6] = expected[0, 0, 8] = 0
    assert torch.equal(largest_components(labels, 3), expected)


def test_fading_leaves_the_wished_share_of_contrast() -> None:
    truth = torch.from_numpy(disc((48, 56), (24, 28), (14, 16)))
    image = (5.0 + 2.0 * truth)[None, None].float()
    label, weight = truth.long()[None], torch.ones(1, 48, 56)
    core = torch.from_numpy(disc((48, 56), (24, 28), (8, 10)))
    far = ~torch.from_numpy(disc((48, 56), (24, 28), (21, 23)))
    for left in (0.15, 0.6, 1.0):
        faded = fade(image, label, weight, torch.tensor([left]), 2)[0, 0]
        assert float(faded[core].mean() - faded[far].mean()) == pytest.approx(2 * left, abs=1e-4)
        assert torch.equal(faded[far], image[0, 0][far])


def test_fading_knows_only_what_somebody_said() -> None:
    rng = np.random.default_rng(0)
    truth = torch.from_numpy(disc((32, 32), (16, 16), (8, 8)))
    image = torch.from_numpy(rng.normal(size=(1, 1, 32, 32)).astype(np.float32))
    weight = torch.zeros(1, 32, 32)
    left = torch.tensor([0.2])
    assert torch.equal(fade(image, truth.long()[None], weight, left, 2), image)
    full = torch.ones_like(weight)
    assert torch.equal(fade(image, torch.zeros(1, 32, 32).long(), full, left, 2), image)
    everything = torch.ones(1, 32, 32).long()
    assert torch.equal(fade(image, everything, full, left, 2), image)
