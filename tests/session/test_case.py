"""What single acts do to a case, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_crii.session import Act, Proposal, SliceStatus
from tests.session.cases import CLASSES, SHAPE, make_case, proposal


def test_an_accepted_slice_is_never_changed_by_a_proposal() -> None:
    case = make_case()
    case.publish(proposal(1, 5))
    case.accept_slice(1)
    before = case.mask(include_proposals=True)
    assert not case.publish(proposal(1, 6))
    assert np.array_equal(case.mask(include_proposals=True), before)
    assert np.array_equal(case.proposals.labels[1], proposal(1, 5).labels)


def test_one_undo_takes_the_first_stroke_back_and_frees_the_slice() -> None:
    for begin in (lambda case: None, lambda case: case.take(1)):
        case = make_case()
        case.publish(proposal(1, 5))
        begin(case)
        drawn = case.shown(1).copy()
        drawn[2, 3] = (drawn[2, 3] + 1) % CLASSES
        case.draw(1, drawn)
        assert [c.act for c in case.corrections] == [Act.TAKE, Act.DRAW]
        undone = case.undo()
        assert undone is not None
        assert undone.act is Act.DRAW
        assert case.status(1) is SliceStatus.UNTOUCHED
        assert case.publish(proposal(1, 6))
        redone = case.redo()
        assert redone is undone
        assert np.array_equal(case.shown(1), drawn)


def test_a_second_stroke_is_undone_alone() -> None:
    case = make_case()
    first = case.shown(0).copy()
    first[1, 1] = 1
    second = first.copy()
    second[5, 5] = 2
    case.draw(0, first)
    case.draw(0, second)
    case.undo()
    assert np.array_equal(case.shown(0), first)
    assert case.status(0) is SliceStatus.EDITED


def test_a_stroke_that_changes_nothing_is_no_act() -> None:
    case = make_case()
    case.publish(proposal(0, 1))
    assert case.draw(0, case.shown(0).copy()) is None
    assert case.status(0) is SliceStatus.UNTOUCHED
    assert case.corrections == ()


@pytest.mark.parametrize(
    "labels",
    [
        np.full(SHAPE[1:], CLASSES),
        np.full(SHAPE[1:], -1),
        np.zeros(SHAPE[:0:-1], dtype=int),
        np.zeros((1, 1), dtype=int),
    ],
)
def test_what_is_no_mask_of_a_slice_is_refused(labels: NDArray[np.int64]) -> None:
    case = make_case()
    for act in (case.draw, case.seed):
        with pytest.raises(ValueError, match=r"class|shape"):
            act(0, labels)
    assert case.corrections == ()
    assert case.status(0) is SliceStatus.UNTOUCHED


def test_a_proposal_of_another_size_is_refused() -> None:
    wrong = Proposal(0, np.ones((1, 1), dtype=np.uint8), np.ones((1, 1), dtype=np.uint8))
    with pytest.raises(ValueError, match="shape"):
        make_case().publish(wrong)


@pytest.mark.parametrize("slice_axis", [0, 1, 2])
def test_the_mask_has_the_axis_order_of_the_scan(slice_axis: int) -> None:
    case = make_case(slice_axis)
    drawn = np.zeros(SHAPE[1:], dtype=int)
    drawn[2, 7] = 2
    case.draw(1, drawn)
    mask = case.mask(include_proposals=False)
    assert case.volume.slice_axis == slice_axis
    assert mask.shape == case.volume.shape
    assert mask.flags.c_contiguous
    assert [tuple(int(i) for i in p) for p in np.argwhere(mask)] == [
        tuple(np.insert([2, 7], slice_axis, 1).tolist())
    ]
    assert mask.max() == 2


def test_a_correction_knows_who_and_what_stood_before() -> None:
    case = make_case()
    case.publish(proposal(2, 8))
    drawn = case.shown(2).copy()
    drawn[3:5, 4] = (drawn[3:5, 4] + 1) % CLASSES
    correction = case.draw(2, drawn)
    assert correction is not None
    assert (correction.reader, correction.slice, correction.act) == ("r", 2, Act.DRAW)
    assert np.array_equal(correction.before.labels, proposal(2, 8).labels[3:5, 4:5])
    assert np.array_equal(correction.after.labels, drawn[3:5, 4:5])
    assert correction is case.last
    assert correction.number == case.last_number_on(2)
    assert case.last_number_on(0) is None
