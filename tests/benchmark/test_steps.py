from __future__ import annotations

import sys

import pytest

from napari_crii.benchmark.steps import step_megabytes, step_seconds


def test_every_preset_takes_its_steps_by_turns() -> None:
    found = step_seconds(repeats=2, batch=2, crop=32)
    assert found.keys() == {
        "sup",
        "faithful_unranked",
        "faithful",
        "plus_unranked",
        "plus",
    }
    assert all(seconds > 0 for seconds in found.values())


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_memory_rises_with_the_batch_and_not_faster() -> None:
    found = step_megabytes([2, 8, 14], crop=96)
    first, second = found[8] - found[2], found[14] - found[8]
    assert 0 < second < 1.5 * first
