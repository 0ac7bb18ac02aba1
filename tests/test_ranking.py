"""Ranked patches: those of trying every box, apart from each other, each with its reason."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_crii.edges import contrast_to_noise, edge_distance
from napari_crii.patches import Box, Patch, Reason, tiles
from napari_crii.ranking import MINIMUM_SCORE, TILE_SIZE, low_contrast_tiles, rank_patches
from tests.factories import disc

SHAPE = (72, 90)
OBJECT = disc(SHAPE, (36, 45), (13, 17))


def greedy(score: np.ndarray, most: int, size: int = 32) -> list[tuple[float, Box]]:
    """Try every box inside the slice, one by one."""
    height, width = (min(size, n) for n in score.shape)
    boxes = [
        Box(top, left, top + height, left + width)
        for top in range(score.shape[0] - height + 1)
        for left in range(score.shape[1] - width + 1)
    ]
    rated = [(float(score[b.slices].mean(dtype=np.float64)), b) for b in boxes]
    chosen: list[tuple[float, Box]] = []
    while rated and len(chosen) < most:
        best = max(rated, key=lambda r: r[0])
        if best[0] < MINIMUM_SCORE:
            break
        chosen.append(best)
        rated = [r for r in rated if not r[1].overlaps(best[1])]
    return chosen


def ranked(score: np.ndarray, most: int = 5) -> list[Patch]:
    labels = np.zeros(score.shape, dtype=np.uint8)
    return rank_patches(score.astype(np.float32), labels, np.zeros(score.shape), 3, 1.0, most)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 9999), st.integers(1, 80), st.integers(1, 100), st.integers(1, 6))
def test_patches_are_those_of_trying_every_box(
    seed: int, height: int, width: int, most: int
) -> None:
    rng = np.random.default_rng(seed)
    score = rng.random((height, width)) ** rng.integers(1, 30)
    patches = ranked(score, most)
    expected = greedy(score.astype(np.float32), most)
    assert [p.box for p in patches] == [box for _, box in expected]
    assert [p.score for p in patches] == [round(value, 4) for value, _ in expected]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 9999), st.integers(1, 120), st.integers(1, 120))
def test_patches_never_overlap_lie_inside_and_come_worst_first(
    seed: int, height: int, width: int
) -> None:
    score = 0.1 + 0.9 * np.random.default_rng(seed).random((height, width))
    patches = ranked(score)
    assert patches
    assert all(p.slice == 3 for p in patches)
    assert not any(a.box.overlaps(b.box) for a, b in combinations(patches, 2))
    for patch in patches:
        assert score[patch.box.slices].shape == (min(32, height), min(32, width))
        assert 0 <= patch.box.top < patch.box.bottom <= height
        assert 0 <= patch.box.left < patch.box.right <= width
    assert [p.score for p in patches] == sorted((p.score for p in patches), reverse=True)


@pytest.mark.parametrize("shape", [(64, 90), (20, 90), (9, 5), (1, 1)])
def test_without_doubt_there_are_no_patches(shape: tuple[int, int]) -> None:
    assert ranked(np.zeros(shape)) == []
    assert ranked(np.full(shape, 0.9 * MINIMUM_SCORE)) == []


def test_a_small_slice_is_one_patch() -> None:
    patches = ranked(np.full((20, 27), 0.5))
    assert [(p.box, p.score) for p in patches] == [(Box(0, 0, 20, 27), 0.5)]


def reason(score: np.ndarray, labels: np.ndarray, image: np.ndarray) -> Reason:
    found = rank_patches(score.astype(np.float32), labels.astype(np.uint8), image, 0, 1.0)
    return found[0].reason


def test_a_thin_rim_of_doubt_is_a_boundary(rng: np.random.Generator) -> None:
    image = 10.0 * OBJECT + rng.normal(0, 1, SHAPE)
    rim = 0.9 * (edge_distance(OBJECT.astype(int)) <= 1)
    assert reason(rim, OBJECT, image) is Reason.BOUNDARY
    assert reason(rim, OBJECT, np.repeat(image[..., None], 3, axis=2)) is Reason.BOUNDARY


def test_a_doubtful_blob_far_from_an_edge_is_a_region(rng: np.random.Generator) -> None:
    image = 10.0 * OBJECT + rng.normal(0, 1, SHAPE)
    blob = 0.9 * disc(SHAPE, (14, 72), (8, 8))
    assert reason(blob, OBJECT, image) is Reason.REGION


def test_an_object_hardly_brighter_than_the_noise_is_low_contrast(
    rng: np.random.Generator,
) -> None:
    image = 0.4 * OBJECT + rng.normal(0, 1, SHAPE)
    rim = 0.9 * (edge_distance(OBJECT.astype(int)) <= 1)
    assert reason(rim, OBJECT, image) is Reason.LOW_CONTRAST


def test_a_faint_lesion_inside_an_organ_is_low_contrast(rng: np.random.Generator) -> None:
    lesion = disc(SHAPE, (36, 45), (8, 9))
    labels = np.ones(SHAPE, dtype=int) + lesion
    image = 0.4 * lesion + rng.normal(0, 1, SHAPE)
    assert reason(0.9 * lesion, labels, image) is Reason.LOW_CONTRAST
    assert reason(0.9 * lesion, labels, image + 9 * lesion) is not Reason.LOW_CONTRAST


def test_tiles_of_low_contrast_are_doubtful_and_hold_an_edge_that_hardly_stands_out(
    rng: np.random.Generator,
) -> None:
    image = 0.4 * OBJECT + rng.normal(0, 1, SHAPE)
    score = (0.9 * (edge_distance(OBJECT.astype(int)) <= 1)).astype(np.float32)
    found = low_contrast_tiles(score, OBJECT, image, 1.0)
    expected = np.zeros(SHAPE, bool)
    for box in tiles(SHAPE, TILE_SIZE, TILE_SIZE):
        where = box.slices
        doubtful = score[where].mean() >= MINIMUM_SCORE
        faint = contrast_to_noise(image[where], OBJECT[where] > 0) < 1
        expected[where] |= doubtful and faint
    assert np.array_equal(found, expected)
    assert found.any()
    assert not found[edge_distance(OBJECT.astype(int)) > 2 * TILE_SIZE].any()
    colours = np.repeat(image[..., None], 3, axis=2)
    assert np.array_equal(low_contrast_tiles(score, OBJECT, colours, 1.0), found)
    assert not low_contrast_tiles(score, OBJECT, image + 9 * OBJECT, 1.0).any()
    assert not low_contrast_tiles(score * 0, OBJECT, image, 1.0).any()
