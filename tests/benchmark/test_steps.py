from __future__ import annotations

from napari_crii.benchmark.steps import step_seconds


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
