from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_crii.errors import CheckpointError
from napari_crii.preprocessing import Preprocessing, equalised
from tests.factories import noise_scan

ADAPTIVE = Preprocessing(contrast="adaptive")


def test_a_bright_corner_takes_little_contrast_from_the_rest() -> None:
    plain = np.random.default_rng(0).normal(100, 10, (1, 64, 64)).astype(np.float32)
    bright = plain.copy()
    bright[:, :8, :8] += 1000
    far = (0, slice(32, 64), slice(32, 64))
    kept = [
        r.prepare(bright, None, None)[far].std() / r.prepare(plain, None, None)[far].std()
        for r in (ADAPTIVE, Preprocessing())
    ]
    assert kept[0] > 3 * kept[1]


def test_adaptive_contrast_brings_a_faint_disc_out() -> None:
    rows, columns = np.mgrid[:64, :64]
    disc = (rows - 40) ** 2 + (columns - 40) ** 2 < 64
    image = (20.0 + 4 * disc + np.random.default_rng(0).normal(0, 1, (64, 64)))[None]
    image[:, :10] = 250
    inside, outside = disc, (np.hypot(rows - 40, columns - 40) < 14) & ~disc
    gaps = []
    for recipe in (ADAPTIVE, Preprocessing()):
        seen = recipe.prepare(image.astype(np.float32), None, None)[0]
        gaps.append(seen[inside].mean() - seen[outside].mean())
    assert gaps[0] > 2 * gaps[1] > 0


@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 3))
def test_equalised_values_are_standard_for_any_size(h: int, w: int, channels: int) -> None:
    values = np.random.default_rng(h * w).normal(size=(channels, h, w)).astype(np.float32)
    result = equalised(values)
    assert result.shape == values.shape
    assert result.dtype == np.float32
    assert np.isfinite(result).all()
    assert abs(float(result.mean())) < 1e-3


def test_a_flat_slice_becomes_zero() -> None:
    assert not equalised(np.full((1, 9, 9), 7, np.float32)).any()


def test_the_recipe_of_a_scan_is_that_of_its_slices() -> None:
    scan = noise_scan()
    stack = scan.slices()[1][None]
    expected = ADAPTIVE.prepare(stack, None, scan.pixel_spacing)
    assert np.array_equal(ADAPTIVE.slice_input(scan, 1), expected)


def test_an_unknown_contrast_is_refused() -> None:
    with pytest.raises(CheckpointError, match="cannot be followed"):
        replace(ADAPTIVE, contrast="vivid")
