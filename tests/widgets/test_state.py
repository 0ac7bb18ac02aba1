"""What the dock says, and the review queue: pure functions of a case."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_crii.geometry import Geometry
from napari_crii.patches import Box, Patch, Reason
from napari_crii.session import Case
from napari_crii.volume import ORIENTATION_UNKNOWN, Volume
from napari_crii.widgets.learning_words import seconds_in_words
from napari_crii.widgets.review import QUEUE_LENGTH, Review, open_patches
from napari_crii.widgets.state import (
    AssistantState,
    Progress,
    patch_in_words,
    scan_in_full,
    scan_in_words,
    slice_in_words,
)
from tests.widgets.conftest import proposal

pytestmark = pytest.mark.napari


@pytest.fixture
def case(phantom):
    return Case(phantom, 3)


@pytest.fixture
def proposed(case):
    for index in range(6):
        case.publish(proposal(index))
    return case


def test_a_scan_is_described_by_size_spacing_and_remarks(case):
    assert scan_in_words(case).splitlines() == [
        "6 slices of 40 x 50, 0.90 x 1.10 x 3.00 mm, int16",
        "Remark: generated: not a patient",
    ]


def test_a_tip_tells_where_the_axes_of_a_scan_point(case):
    assert scan_in_full(case) == (
        "6 slices of 40 x 50, 0.90 x 1.10 x 3.00 mm, int16\n"
        "Slices are stored towards S, rows towards P, columns towards L\n"
        "Oblique: shown on its own grid, saved in its true position\n"
        "Remark: generated: not a patient"
    )


def test_a_tilted_scan_that_does_not_tell_how_it_lies_is_described_without_letters():
    tilted = Geometry(
        direction=((0.0, 0.0, 1.0), (0.0, 0.8, 0.6), (1.0, 0.0, 0.0)), spacing=(5.0, 1.0, 1.0)
    )
    remark = f"{ORIENTATION_UNKNOWN}: no form is coded"
    scan = Volume(np.zeros((3, 4, 5, 3), dtype=np.uint8), tilted, remarks=(remark,))
    assert scan_in_full(Case(scan, 2)).splitlines() == [
        "3 slices of 4 x 5, 1.00 x 1.00 x 5.00 mm, RGB, uint8",
        "Oblique and sheared: shown on its own grid, saved in its true position",
        f"Remark: {remark}",
    ]


@pytest.mark.parametrize(
    ("slices", "words"), [(1, "4 x 5 pixels"), (3, "3 slices of 4 x 5 pixels")]
)
def test_an_image_without_size_says_so(slices, words):
    image = Volume(np.zeros((slices, 4, 5)), Geometry.pixels())
    assert scan_in_words(Case(image, 2)) == f"{words}, pixel size unknown, float64"


def test_a_case_that_is_never_learnt_from_says_so(case):
    assert "validates" not in scan_in_words(case)
    case.validation = True
    assert scan_in_words(case).endswith("the network does not learn from this scan")


def test_a_slice_is_described_by_how_far_the_user_has_come(case):
    assert slice_in_words(case, 2) == "Slice 3 of 6: nothing proposed yet. Accepted so far: 0 of 6."
    case.publish(proposal(2))
    assert "proposed, nobody has looked at it yet" in slice_in_words(case, 2)
    case.take(2)
    assert "you are correcting it" in slice_in_words(case, 2)
    case.accept_slice(2)
    assert "accepted by you. Accepted so far: 1 of 6" in slice_in_words(case, 2)


def test_a_patch_is_described_by_its_place_reason_and_doubt(proposed):
    patches = open_patches(proposed)
    assert patch_in_words([], None) == "No doubtful patch."
    assert patch_in_words(patches, None) == "12 doubtful patches."
    assert patch_in_words(patches[1:], patches[0]) == "11 doubtful patches."
    assert patch_in_words(patches, patches[0]) == "Patch 1 of 12: region, doubt 0.90, on slice 1."


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.1, "about 1 s"), (89, "about 89 s"), (300, "about 5 min")]
)
def test_time_left_is_said_roundly(seconds, words):
    assert seconds_in_words(seconds) == f"{words} left"


def test_states_compare_by_value():
    assert replace(AssistantState(), message="x") == AssistantState(message="x")
    assert not Progress().running
    assert Progress(0, 3).running


def test_the_worst_patch_comes_first_and_the_queue_is_limited(case):
    made = proposal(0)
    patch = made.patches[0]
    many = tuple(replace(patch, score=i / 100) for i in range(60))
    case.publish(replace(made, patches=many))
    queue = open_patches(case)
    assert len(queue) == QUEUE_LENGTH
    assert queue[0].score == pytest.approx(0.59)


def test_confirmed_patches_and_accepted_slices_leave_the_queue_and_undo_returns_them(proposed):
    first = open_patches(proposed)[0]
    proposed.accept_patch(first)
    assert first not in open_patches(proposed)
    proposed.accept_slice(3)
    assert not [p for p in open_patches(proposed) if p.slice == 3]
    assert len(open_patches(proposed)) == 9
    proposed.undo()
    proposed.undo()
    assert len(open_patches(proposed)) == 12


def test_what_was_beside_a_confirmed_patch_stays_behind_other_places(case):
    for index in range(5):
        near = Patch(index, Box(0, 0, 32, 32), 0.9 - index / 100, Reason.REGION)
        far = Patch(index, Box(40, 40, 50, 50), 0.3, Reason.REGION)
        made = replace(proposal(index), patches=(near, far) if index == 4 else (near,))
        case.publish(made)
    before = open_patches(case)
    review = Review(case)
    review.refresh()
    visited = []
    for _ in range(3):
        patch = review.step(1)
        visited.append(patch)
        case.accept_patch(patch)
        review.take_out()
        review.refresh()
    assert visited == before[:3]
    assert review.patches == before[3:]


def test_stepping_goes_round_both_ways(proposed):
    review = Review(proposed)
    assert review.step(1) is None
    review.refresh()
    assert review.step(-1) is review.patches[-1]
    assert review.step(1) is review.patches[0]
    assert review.step(1) is review.patches[1]
    assert review.step(-1) is review.patches[0]


def test_taking_a_patch_out_makes_the_next_step_show_the_one_after_it(proposed):
    review = Review(proposed)
    assert review.take_out() is None
    review.refresh()
    review.step(1)
    second, third = review.step(1), review.patches[2]
    assert review.take_out() is second
    proposed.accept_patch(second)
    review.refresh()
    assert review.step(1) is third


def test_a_current_patch_that_leaves_the_queue_is_no_longer_current(proposed):
    review = Review(proposed)
    review.refresh()
    proposed.accept_slice(review.step(1).slice)
    review.refresh()
    assert review.current is None
