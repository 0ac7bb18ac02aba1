"""The steps of a run: all of them, and a failure as an error."""

from __future__ import annotations

import pytest

from napari_crii.errors import TrainingError
from napari_crii.training import Finished, FinishReason, Stepped, steps_of

STEPS = [Stepped(1, 2, 0.9), Stepped(2, 2, 0.7)]


@pytest.mark.parametrize("reason", [FinishReason.COMPLETED, FinishReason.STOPPED])
def test_the_steps_come_without_the_end(reason: FinishReason) -> None:
    assert list(steps_of([*STEPS, Finished(reason, 2)])) == STEPS


def test_a_failure_is_raised_in_its_own_words_after_the_steps_before_it() -> None:
    steps = steps_of([*STEPS, Finished(FinishReason.FAILED, 2, "the loss became nan at step 3")])
    assert [next(steps), next(steps)] == STEPS
    with pytest.raises(TrainingError, match=r"^the loss became nan at step 3$"):
        next(steps)
