"""What the dock says of learning, the list of weights and the curve: no window."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_crii.engine.messages import LearningFinished
from napari_crii.session.weights import PublishedWeights
from napari_crii.widgets.learning_words import (
    LearningMode,
    at_work_in_words,
    offer_in_words,
    outcome_in_words,
    place_in_words,
    verdict_in_words,
    weights_in_words,
)
from napari_crii.widgets.weights_history import WeightsHistory

pytestmark = pytest.mark.napari

WEIGHTS = [PublishedWeights(d, Path(f"{d}.safetensors")) for d in ("a", "b", "c", "d")]


def test_at_work_it_says_from_what_it_learns_and_how_long_it_takes():
    assert at_work_in_words(1, None) == "Learning from 1 corrected slice, starting."
    assert at_work_in_words(14, 40.2) == "Learning from 14 corrected slices, about 40 s left."


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (0.87, 0.90, "made proposals better: Dice 0.87 -> 0.90 on your 3 check slices."),
        (0.871, 0.869, "left proposals as good as they were: Dice 0.87 -> 0.87 on your"),
        (
            0.90,
            0.89,
            "may have made proposals worse: Dice 0.90 -> 0.89 on your 3 check slices. Too",
        ),
        (0.0, 0.0, "left proposals as good as they were: Dice 0.00 -> 0.00"),
    ],
)
def test_an_update_that_is_used_is_judged_in_words(before, after, words):
    finished = LearningFinished("completed", "new.safetensors", "", before, after, 3)
    said = outcome_in_words(14, finished)
    assert said.startswith("Learnt from 14 corrected slices. The last update ")
    assert words in said
    assert "refused" not in said


def test_an_update_that_is_refused_says_so_and_why():
    judged = LearningFinished("refused", "", "", 0.90, 0.71, 3)
    assert outcome_in_words(14, judged) == (
        "The last update made proposals worse: Dice 0.90 -> 0.71 on your 3 check slices. "
        "It was refused: the network is as it was."
    )
    unjudged = LearningFinished("refused", "", "the update made proposals worse")
    assert outcome_in_words(14, unjudged).startswith("The update made proposals worse. It was")


def test_an_update_that_nothing_could_judge_says_what_is_missing():
    said = outcome_in_words(2, LearningFinished("completed", "new", "", check_slices=2))
    assert said == (
        "Learnt from 2 corrected slices. The last update is not checked yet: 2 of the 3 check "
        "slices that this needs are there."
    )
    few = LearningFinished("completed", "new", "", 0.8, 0.9, check_slices=2)
    assert outcome_in_words(2, few) == f"{said} Dice 0.80 -> 0.90 on your 2 check slices."


def test_the_verdict_on_the_last_update_is_what_its_outcome_says_of_it():
    better = LearningFinished("completed", "new.safetensors", "", 0.87, 0.9, 3)
    assert verdict_in_words(better) == (
        "The last update made proposals better: Dice 0.87 -> 0.90 on your 3 check slices."
    )
    assert outcome_in_words(14, better).endswith(verdict_in_words(better))
    worse = LearningFinished("refused", "", "", 0.9, 0.7, 3)
    assert verdict_in_words(worse).endswith("on your 3 check slices. It was refused.")
    assert verdict_in_words(LearningFinished("stopped", "", "")) == ""


def test_nothing_new_is_said_to_be_as_it_was():
    stopped = outcome_in_words(2, LearningFinished("stopped", "", ""))
    assert stopped == "Learning was stopped. The network is as it was."


def test_only_asking_makes_a_question_of_new_slices():
    ask = LearningMode.ASK
    assert offer_in_words(ask, 3, running=False) == "Learn from 3 new slices now?"
    assert offer_in_words(ask, 1, running=False) == "Learn from 1 new slice now?"
    assert offer_in_words(ask, 0, running=False) == offer_in_words(ask, 3, running=True) == ""
    assert offer_in_words(LearningMode.MANUAL, 3, running=False).endswith("can be learnt from.")
    assert offer_in_words(LearningMode.AUTOMATIC, 3, running=False) == ""


@pytest.mark.parametrize(
    ("device", "memory", "words"),
    [
        ("cpu", 812.4, "On the processor, 812 MB."),
        ("cuda:0", 1234.0, "On the graphics card, 1.2 GB."),
        ("mps", 0.0, "On the graphics card."),
        ("", 5.0, ""),
    ],
)
def test_where_it_computes_is_said_plainly(device, memory, words):
    assert place_in_words(device, memory) == words


def test_each_weights_are_told_by_when_from_what_and_how_good():
    start = PublishedWeights("a", Path("crii-lv.safetensors"), when=0.0)
    assert weights_in_words(start, in_use=True) == "At the start, crii-lv (in use)"
    learnt = PublishedWeights("b", Path("x"), 1e9, 14, 0.87, 0.9, 3)
    assert weights_in_words(learnt, in_use=False).endswith(", from 14 slices, Dice 0.90")
    assert weights_in_words(PublishedWeights("b", Path("x"), 1e9, 1), True).endswith(
        ", from 1 slice, not checked (in use)"
    )


def listed(*digests):
    weights = WeightsHistory()
    for one in WEIGHTS:
        if one.digest in digests:
            weights = weights.with_entry(one).using(one.digest)
    return weights


def test_the_way_back_is_that_of_use_not_of_age():
    weights = listed("a", "b", "c").back().back()
    assert weights.in_use.digest == "a"
    assert weights.before is None
    assert weights.back() == weights
    # New weights were learnt from `a`: they go back to it, not to what was given up.
    weights = weights.with_entry(WEIGHTS[3]).using("d")
    assert [one.digest for one in weights.entries] == ["a", "b", "c", "d"]
    assert weights.before.digest == "a"


def test_the_same_weights_are_listed_once_and_using_them_again_changes_nothing():
    weights = listed("a", "b")
    again = weights.with_entry(PublishedWeights("a", Path("copy")))
    assert again == weights
    assert weights.using("b") == weights
    assert weights.using("a").before.digest == "b"
    assert WeightsHistory().in_use is None
