"""Boxes lie on their slice, cover it, and say what they overlap."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_crii.patches import (
    NEIGHBOURS_SHARE,
    Box,
    Patch,
    Reason,
    box_around,
    order_patches,
    tiles,
)

SIDES = st.integers(1, 60)
SHAPES = st.tuples(SIDES, SIDES)


@st.composite
def boxes(draw) -> Box:
    top, left = draw(st.integers(0, 20)), draw(st.integers(0, 20))
    return Box(top, left, top + draw(st.integers(1, 15)), left + draw(st.integers(1, 15)))


def painted(box: Box, shape=(40, 40)) -> np.ndarray:
    canvas = np.zeros(shape, bool)
    canvas[box.slices] = True
    return canvas


@given(boxes(), boxes())
def test_boxes_overlap_exactly_when_they_share_a_pixel(one, other):
    shared = bool((painted(one) & painted(other)).any())
    assert one.overlaps(other) == shared == other.overlaps(one)


@given(boxes())
def test_size_and_centre_are_those_of_the_painted_pixels(box):
    rows, columns = np.nonzero(painted(box))
    assert box.size == len(rows)
    assert box.center == (rows.mean(), columns.mean())


@given(SHAPES, SIDES, st.integers(0, 59), st.integers(0, 59))
def test_a_box_around_a_pixel_contains_it_and_stays_on_the_slice(shape, size, row, column):
    row, column = row % shape[0], column % shape[1]
    box = box_around(row, column, size, shape)
    assert painted(box, shape)[row, column]
    assert (box.bottom - box.top, box.right - box.left) == (
        min(size, shape[0]),
        min(size, shape[1]),
    )
    assert box.top >= 0
    assert box.left >= 0
    assert box.bottom <= shape[0]
    assert box.right <= shape[1]


def test_a_box_with_room_is_centred():
    assert box_around(20, 30, 8, (64, 64)).center == (19.5, 29.5)


@given(SHAPES, SIDES, st.data())
def test_tiles_cover_the_slice_without_repeats_and_never_leave_it(shape, size, data):
    stride = data.draw(st.integers(max(1, size // 2), size))
    found = list(tiles(shape, size, stride))
    covered = np.zeros(shape, bool)
    for box in found:
        assert box.bottom <= shape[0]
        assert box.right <= shape[1]
        covered |= painted(box, shape)
    assert covered.all()
    assert len(set(found)) == len(found)
    assert len({box.size for box in found}) == 1


@given(st.lists(st.tuples(st.floats(0, 1), st.sampled_from(Reason)), max_size=8))
def test_rims_come_after_regions_and_the_worst_first_in_each(kinds):
    patches = [Patch(0, Box(0, 0, 4, 4), score, reason) for score, reason in kinds]
    ordered = order_patches(patches)
    rims = [p.reason is Reason.BOUNDARY for p in ordered]
    assert rims == sorted(rims)
    for kind in (True, False):
        scores = [p.score for p, rim in zip(ordered, rims, strict=True) if rim is kind]
        assert scores == sorted(scores, reverse=True)
    assert sorted(ordered, key=id) == sorted(patches, key=id)


@given(st.tuples(*[st.integers(0, 6)] * 4), st.tuples(*[st.integers(0, 6)] * 4))
def test_boxes_touch_where_a_pixel_of_one_is_next_to_a_pixel_of_the_other(one, other):
    a, b = (Box(top, left, top + 1 + h, left + 1 + w) for top, left, h, w in (one, other))
    first, second = (np.argwhere(painted(box, (16, 16))) for box in (a, b))
    near = np.abs(first[:, None] - second[None]).max(axis=-1).min() <= 1
    assert a.touches(b) == b.touches(a) == near


def test_thin_rims_come_last_and_the_worst_first_in_each_kind() -> None:
    box = Box(0, 0, 4, 4)
    rim, worse_rim = (Patch(0, box, s, Reason.BOUNDARY) for s in (0.3, 0.9))
    region, faint = Patch(1, box, 0.2, Reason.REGION), Patch(2, box, 0.4, Reason.LOW_CONTRAST)
    assert order_patches([rim, region, worse_rim, faint]) == [faint, region, worse_rim, rim]
    assert order_patches([]) == []


def test_ten_neighbours_in_a_row_let_other_places_in_between() -> None:
    object_in_doubt = [
        Patch(z, Box(8, 8, 40, 40), 0.9 - 0.001 * z, Reason.REGION) for z in range(20)
    ]
    elsewhere = [Patch(z, Box(60, 60, 92, 92), 0.3, Reason.REGION) for z in (30, 40, 50, 60)]
    ordered = order_patches(object_in_doubt + elsewhere)
    assert ordered[0] == object_in_doubt[0]
    assert {ordered.index(p) for p in elsewhere} <= set(range(10))
    last = ordered[10:]
    assert last == sorted(last, key=lambda p: -p.score)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 5), st.integers(0, 40), st.floats(0.05, 1), st.sampled_from(Reason)
        ),
        max_size=14,
    )
)
def test_a_patch_counts_less_for_each_neighbour_on_the_way_from_the_worst_one(drawn):
    patches = [Patch(z, Box(top, 0, top + 8, 8), score, why) for z, top, score, why in drawn]
    worst_first = sorted(patches, key=lambda p: -p.score)

    def depth(at: int) -> int:
        patch = worst_first[at]
        rim = patch.reason is Reason.BOUNDARY
        before = [
            depth(i)
            for i, other in enumerate(worst_first[:at])
            if (other.reason is Reason.BOUNDARY) == rim and other.is_beside(patch)
        ]
        return 1 + max(before) if before else 0

    counted = [
        (p.reason is Reason.BOUNDARY, -p.score * NEIGHBOURS_SHARE ** depth(i), i)
        for i, p in enumerate(worst_first)
    ]
    assert order_patches(patches) == [worst_first[i] for *_, i in sorted(counted)]
