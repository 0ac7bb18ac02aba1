"""The clock of a run: what is left, and that time which is waited is no part of it."""

from __future__ import annotations

import pytest

from napari_crii.engine.messages import LearningStepped
from napari_crii.widgets.learning_run import LearningRun

pytestmark = pytest.mark.napari


class Clock:
    """Stands in for `time.monotonic`."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("napari_crii.widgets.learning_run.time.monotonic", made)
    return made


def step(number: int) -> LearningStepped:
    return LearningStepped(number, 11, 1.0)


def test_what_is_left_goes_by_the_speed_since_the_first_step(clock: Clock) -> None:
    run = LearningRun(3)
    assert run.words(False) == "Learning from 3 corrected slices, starting."
    # Loading is no step.
    clock.now += 50
    run.step(step(1))
    assert "starting" in run.words(False)
    clock.now += 4
    run.step(step(2))
    assert run.words(False) == "Learning from 3 corrected slices, about 36 s left."
    clock.now += 6
    run.step(step(3))
    assert run.words(False).endswith("about 40 s left.")


@pytest.mark.parametrize("told_late", [False, True], ids=["in order", "first step said late"])
def test_waiting_is_no_part_of_it(clock: Clock, told_late: bool) -> None:
    run = LearningRun(1)
    if not told_late:
        run.step(step(1))
    run.wait(True)
    assert run.waits
    if told_late:
        clock.now += 2
        run.step(step(1))
    clock.now += 500
    # Asked twice, it waits once.
    run.wait(True)
    clock.now += 500
    run.wait(False)
    assert not run.waits
    clock.now += 4
    run.step(step(2))
    assert run.words(False).endswith("about 36 s left.")


def test_while_it_waits_what_is_left_stays(clock: Clock) -> None:
    run = LearningRun(1)
    run.step(step(1))
    clock.now += 4
    run.step(step(2))
    run.wait(True)
    clock.now += 1000
    assert run.words(False).endswith("about 36 s left.")
    assert run.words(True) == "Paused: learning from 1 corrected slice waits after step 2 of 11."
