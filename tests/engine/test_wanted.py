from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from napari_crii.engine.messages import Propose
from napari_crii.engine.wanted import Wanted

SLICES = st.lists(st.integers(0, 9), max_size=12)


def order(wanted: Wanted) -> list[tuple[int, int]]:
    """Take everything out: slices with their requests."""
    taken = []
    while (index := wanted.first) is not None:
        number = wanted.request_for(index) or 0
        assert wanted.is_done(index, number)
        taken.append((index, number))
    return taken


def test_a_new_request_comes_first_and_takes_over_its_slices() -> None:
    wanted = Wanted()
    wanted.ask(Propose(1, "a", (0, 1, 2, 3)))
    wanted.ask(Propose(2, "a", (2, 7)))
    assert wanted.requests == {1, 2}
    assert not wanted.is_done(2, 1)
    assert order(wanted) == [(2, 2), (7, 2), (0, 1), (1, 1), (3, 1)]
    assert not wanted


def test_another_scan_replaces_everything() -> None:
    wanted = Wanted()
    wanted.ask(Propose(1, "a", (0, 1)))
    wanted.ask(Propose(2, "b", (1,)))
    assert order(wanted) == [(1, 2)]


def test_what_is_dropped_is_waited_for_no_longer() -> None:
    wanted = Wanted()
    wanted.ask(Propose(1, "a", (0, 1)))
    wanted.ask(Propose(2, "a", (5,)))
    wanted.drop(1)
    assert order(wanted) == [(5, 2)]
    wanted.ask(Propose(3, "a", (4,)))
    wanted.clear()
    assert wanted.first is None


@given(st.lists(SLICES, max_size=5))
def test_every_slice_is_taken_once_for_the_latest_that_named_it(asked: list[list[int]]) -> None:
    wanted, again = Wanted(), Wanted()
    for number, slices in enumerate(asked, 1):
        wanted.ask(Propose(number, "a", tuple(slices)))
    for request in wanted.as_requests():
        again.ask(request)
    expected = []
    for number, slices in reversed(list(enumerate(asked, 1))):
        for index in slices:
            if index not in {i for i, _ in expected}:
                expected.append((index, number))
    assert order(again) == order(wanted) == expected
