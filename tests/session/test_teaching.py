"""The slices that nobody touched, as the trainer may learn from them."""

from __future__ import annotations

import numpy as np
import pytest

from napari_crii.classes import numbered_classes
from napari_crii.session import Session, teaching
from napari_crii.session.teaching import nearest_first
from napari_crii.volume import Volume, neighbourhood
from tests.factories import noise_scan

SHAPE = (9, 18, 23)


def session_of(*touched: tuple[int, ...], axis: int = 0) -> Session:
    """Return a session with one case for each tuple, in which these slices are accepted."""
    session = Session(numbered_classes(["a"]), "r")
    base = noise_scan(axis, SHAPE)
    for number, slices in enumerate(touched):
        case = session.open(Volume(base.array + np.int16(number), base.geometry))
        case.patient = f"p{number}"
        for index in slices:
            case.accept_slice(index)
    return session


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_untouched_slices_come_nearest_first_with_their_voxels(axis: int) -> None:
    session = session_of((3,), axis=axis)
    (case,) = session.cases.values()
    order = nearest_first(case)
    assert order == [2, 4, 1, 5, 0, 6, 7, 8]
    found = session.snapshot().unlabelled
    assert len(found) == 8
    for index, item in zip(order, found, strict=True):
        assert np.array_equal(item.image, neighbourhood(case.volume, index, 0))
        assert item.image.base is not None
        assert (item.patient, item.stats) == ("p0", case.volume.intensity)
        assert item.pixel_spacing == case.volume.pixel_spacing
    wide = session.snapshot(neighbours=1).unlabelled
    assert np.array_equal(wide[0].image, neighbourhood(case.volume, 2, 1))


def test_a_slice_that_was_touched_is_not_among_them() -> None:
    session = session_of((0, 8))
    (case,) = session.cases.values()
    drawn = case.shown(4).copy()
    drawn[3, 4] = 1
    case.draw(4, drawn)
    assert nearest_first(case) == [1, 3, 5, 7, 2, 6]
    case.undo()
    assert nearest_first(case) == [1, 7, 2, 6, 3, 5, 4]


def test_cases_come_by_turns_and_those_that_judge_or_are_untouched_do_not_come() -> None:
    session = session_of((0,), (8,), (4,), ())
    list(session.cases.values())[2].validation = True
    found = session.snapshot(unlabelled=5).unlabelled
    assert [item.patient for item in found] == ["p0", "p1", "p0", "p1", "p0"]
    assert len(session.snapshot().unlabelled) == 16
    assert session.snapshot(unlabelled=0).unlabelled == ()


def test_there_are_no_more_than_64_nor_32_megabytes(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(numbered_classes(["a"]), "r")
    case = session.open(noise_scan(0, (80, 18, 23)))
    case.accept_slice(40)
    assert len(session.snapshot().unlabelled) == 64
    monkeypatch.setattr(teaching, "_UNLABELLED_BYTES", 5 * 18 * 23 * 2)
    assert len(session.snapshot().unlabelled) == 5
