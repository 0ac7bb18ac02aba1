"""What counts as having looked at a slice, by a clock that the test moves."""

from __future__ import annotations

import pytest

from napari_crii.widgets.looking import IDLE_SECONDS, Looks


class Clock:
    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_time_is_counted_for_the_slice_on_display(clock):
    looks = Looks(clock)
    clock.at += 5
    assert looks.take() == ((), 0)
    looks.show(3)
    clock.at += 4
    looks.show(5)
    clock.at += 2
    assert looks.take() == ((3, 5), 6.0)
    assert looks.take() == ((), 0)


def test_slices_that_are_scrolled_through_were_not_looked_at(clock):
    looks = Looks(clock)
    for index in range(10):
        looks.show(index)
        clock.at += 0.3
    looks.show(10)
    clock.at += 0.6
    assert looks.take() == ((), 0)
    clock.at += 0.6
    slices, seconds = looks.take()
    assert slices == (10,)
    assert seconds == pytest.approx(1.2)


def test_nobody_looks_when_nothing_moved_for_long(clock):
    looks = Looks(clock)
    looks.show(1, sign=0)
    clock.at += 10 * IDLE_SECONDS
    assert looks.take() == ((1,), IDLE_SECONDS)
    clock.at += 10
    assert looks.take() == ((), 0)
    looks.show(1, sign=1)
    clock.at += 10
    assert looks.take() == ((1,), 10.0)


def test_nothing_on_display_counts_nothing(clock):
    looks = Looks(clock)
    looks.show(2)
    clock.at += 3
    looks.show(None)
    clock.at += 30
    assert looks.take() == ((2,), 3.0)
