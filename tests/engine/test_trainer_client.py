"""The window's end of a real trainer: what it publishes, what it refuses, and that it ends."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest

from napari_crii.checkpoint import Checkpoint, load_checkpoint
from napari_crii.engine.client import TrainerClient
from napari_crii.engine.messages import (
    Closed,
    Failed,
    Learn,
    LearningFinished,
    LearningStepped,
    Ready,
)
from napari_crii.snapshot import LabelledSlice, Snapshot
from napari_crii.volume import IntensityStats
from tests.engine.waiting import Inbox

pytestmark = [pytest.mark.alone, pytest.mark.usefixtures("no_child_is_left")]


def corrected(slices: int = 1) -> Snapshot:
    image = np.random.default_rng(0).normal(0, 1, (1, 40, 50)).astype(np.float32)
    labels = (image[0] > 0.5).astype(np.uint8)
    weights = np.ones(labels.shape, dtype=np.float32)
    item = LabelledSlice(image, labels, weights, IntensityStats.of(image))
    return Snapshot((item,) * slices)


def learn(folder: Path, weights: Path | None, **changes: object) -> Learn:
    settings = {"iterations": 2, "learning_rate": 1e-3, **changes}
    return Learn(
        str(folder / "s.npz"),
        "" if weights is None else str(weights),
        str(folder),
        **settings,  # type: ignore[arg-type]
    )


def test_the_trainer_learns_at_lowest_priority_and_publishes_a_checkpoint(
    tmp_path: Path, weights: tuple[Path, Checkpoint]
) -> None:
    inbox = Inbox()
    trainer = TrainerClient(inbox.arrived.put)
    inbox.until(Ready)
    assert psutil.Process(trainer.pid).nice() == (
        psutil.IDLE_PRIORITY_CLASS if psutil.WINDOWS else 19
    )
    if sys.platform == "linux":
        assert os.sched_getscheduler(trainer.pid or 0) == os.SCHED_IDLE
    trainer.learn(corrected(), tmp_path / "new", learn(tmp_path / "new", weights[0]))
    messages = inbox.until(LearningFinished, Failed)
    steps = [m for m in messages if isinstance(m, LearningStepped)]
    assert [(m.step, m.total) for m in steps] == [(1, 2), (2, 2)]
    finished = messages[-1]
    assert isinstance(finished, LearningFinished)
    assert finished.reason == "completed"
    tuned = load_checkpoint(finished.checkpoint)
    assert tuned.provenance["parent"] == weights[1].digest
    assert tuned.digest != weights[1].digest
    assert Path(finished.checkpoint).parent == tmp_path / "new"
    trainer.close()
    assert inbox.until(Closed)[-1] == Closed(0)


def test_a_trainer_that_hangs_is_ended(tmp_path: Path, weights: tuple[Path, Checkpoint]) -> None:
    inbox = Inbox()
    trainer = TrainerClient(inbox.arrived.put, silent=5)
    trainer.learn(corrected(), tmp_path, learn(tmp_path, weights[0], iterations=10_000))
    inbox.until(LearningStepped)
    psutil.Process(trainer.pid).suspend()
    killed = 1 if psutil.WINDOWS else -signal.SIGKILL
    assert inbox.until(Closed)[-1] == Closed(killed)


def test_a_stopped_trainer_publishes_nothing(
    tmp_path: Path, weights: tuple[Path, Checkpoint]
) -> None:
    inbox = Inbox()
    trainer = TrainerClient(inbox.arrived.put)
    trainer.learn(corrected(), tmp_path, learn(tmp_path, weights[0], iterations=10_000))
    inbox.until(LearningStepped)
    trainer.stop()
    finished = inbox.until(LearningFinished, Failed)[-1]
    assert isinstance(finished, LearningFinished)
    assert (finished.reason, finished.checkpoint) == ("stopped", "")
    trainer.close(wait=True)
    assert [p.name for p in tmp_path.iterdir()] == ["s.npz"]
    assert inbox.until(Closed)[-1] == Closed(0)


@pytest.mark.parametrize(
    ("snapshot", "rule"), [(corrected(0), "nothing is annotated"), (None, "s.npz")]
)
def test_what_cannot_be_learnt_from_is_said_in_one_sentence(
    snapshot: Snapshot | None, rule: str, tmp_path: Path, weights: tuple[Path, Checkpoint]
) -> None:
    inbox = Inbox()
    trainer = TrainerClient(inbox.arrived.put)
    request = learn(tmp_path, weights[0])
    if snapshot is None:
        (tmp_path / "s.npz").mkdir()
    trainer.learn(snapshot or corrected(), tmp_path, request)
    failure = inbox.until(Failed, LearningFinished)[-1]
    assert isinstance(failure, Failed)
    assert rule in failure.message
    assert "\n" not in failure.message
    trainer.close(wait=True)
    assert inbox.until(Closed)


def test_without_weights_the_trainer_starts_a_new_network(tmp_path: Path) -> None:
    inbox = Inbox()
    trainer = TrainerClient(inbox.arrived.put)
    request = learn(tmp_path, None, classes=("cyst", "vessel"), iterations=1)
    trainer.learn(corrected(), tmp_path, request)
    finished = inbox.until(LearningFinished, Failed)[-1]
    assert isinstance(finished, LearningFinished)
    assert [c.name for c in load_checkpoint(finished.checkpoint).classes] == ["cyst", "vessel"]
    # A trainer ends by itself, and cleanly, when its run is over.
    assert inbox.until(Closed)[-1] == Closed(0)
