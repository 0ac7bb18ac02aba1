from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from napari_crii.benchmark import steps
from napari_crii.benchmark.steps import step_seconds
from napari_crii.errors import TrainingError


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


def test_memory_rises_with_the_batch_and_not_faster() -> None:
    # In a process of its own: what earlier tests took and gave back would serve the first batches.
    program = (
        "import json; from napari_crii.benchmark.steps import step_megabytes; "
        "print(json.dumps(step_megabytes([2, 5, 8], crop=64)))"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, env=environment
    )
    found = json.loads(done.stdout)
    first, second = found["5"] - found["2"], found["8"] - found["5"]
    assert 0 < second < 1.5 * first


def test_a_system_that_does_not_tell_its_memory_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "peak_megabytes", lambda: None)
    with pytest.raises(TrainingError, match="does not tell"):
        steps.step_megabytes([2], crop=32)
