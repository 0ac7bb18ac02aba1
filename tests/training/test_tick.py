from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from napari_crii.checkpoint import Checkpoint, load_checkpoint
from napari_crii.errors import TrainingError
from napari_crii.metrics import dice
from napari_crii.snapshot import LabelledSlice, Snapshot
from napari_crii.training import Finished, FinishReason, Stepped, TrainingConfig, TrainingSlice, fit
from napari_crii.training.tick import FIRST_RUN, TickConfig, TickResult, loses, publish, run_tick
from napari_crii.volume import IntensityStats
from tests.factories import disc_slice, small_checkpoint, small_network

BRIEF = TickConfig(iterations=2, batch=2)


def frozen(item: TrainingSlice, **changes: object) -> LabelledSlice:
    image = item.image.numpy()
    return LabelledSlice(
        image,
        item.label.numpy().astype(np.uint8),
        item.weight.numpy(),
        IntensityStats.of(image),
        **changes,  # type: ignore[arg-type]
    )


def result_of(checkpoint: Checkpoint, snapshot: Snapshot, config: TickConfig) -> TickResult:
    last = list(run_tick(checkpoint, snapshot, config))[-1]
    assert isinstance(last, TickResult)
    return last


def score(checkpoint: Checkpoint, item: TrainingSlice) -> float:
    image = torch.from_numpy(checkpoint.preprocessing.normalise(item.image.numpy(), None))
    with torch.inference_mode():
        labels = checkpoint.network(image[None]).refined.argmax(dim=1)[0]
    return dice(labels.numpy() > 0, item.label.numpy() > 0)


@pytest.fixture(scope="module")
def base() -> tuple[Checkpoint, list[TrainingSlice]]:
    """Return a network that knows bright discs, and what it learnt from."""
    rng = np.random.default_rng(3)
    checkpoint = small_checkpoint()
    network = small_network(widths=(8, 8, 16, 16, 16), dropout=(0.0, 0.0, 0.0, 0.1, 0.1))
    checkpoint = replace(checkpoint, network=network)
    seen = [disc_slice(rng) for _ in range(6)]
    recipe = checkpoint.preprocessing
    data = [
        replace(s, image=torch.from_numpy(recipe.normalise(s.image.numpy(), None))) for s in seen
    ]
    config = TrainingConfig(iterations=60, batch=6, crop=48, learning_rate=1e-2, warmup=5)
    assert list(fit(network, data, config, np.random.default_rng(0)))[-1].reason == "completed"  # type: ignore[union-attr]
    return checkpoint, seen


def test_a_tick_improves_the_corrected_slice_and_forgets_nothing(
    base: tuple[Checkpoint, list[TrainingSlice]],
) -> None:
    checkpoint, seen = base
    rng = np.random.default_rng(11)
    held_out = [disc_slice(rng) for _ in range(5)]
    corrected = disc_slice(rng, brightness=-2.0)
    before = [score(checkpoint, s) for s in (corrected, *held_out)]
    snapshot = Snapshot(
        (
            frozen(corrected),
            *(frozen(s, replay=True) for s in seen),
            *(frozen(s, validation=True) for s in held_out),
        )
    )
    result = result_of(checkpoint, snapshot, TickConfig(iterations=40, batch=2, learning_rate=1e-3))
    assert result.reason == FinishReason.COMPLETED, result.message
    assert result.checkpoint is not None
    after = [score(result.checkpoint, s) for s in (corrected, *held_out)]
    assert min(before[1:]) > 0.8
    assert after[0] > before[0] + 0.05
    assert np.mean(after[1:]) > np.mean(before[1:]) - 0.01
    assert "5 check slices" in result.message


def test_a_tick_leaves_the_checkpoint_it_starts_from_as_it_is(rng: np.random.Generator) -> None:
    checkpoint = replace(small_checkpoint(), digest="d" * 64)
    before = {k: v.clone() for k, v in checkpoint.network.state_dict().items()}
    events = list(run_tick(checkpoint, Snapshot((frozen(disc_slice(rng)),)), BRIEF))
    assert [type(e) for e in events] == [Stepped, Stepped, Finished, TickResult]
    after = checkpoint.network.state_dict()
    assert all(torch.equal(before[k], after[k]) for k in before)
    tuned = events[-1].checkpoint  # type: ignore[union-attr]
    assert tuned.provenance["parent"] == "d" * 64
    assert tuned.provenance["made"] == "for a test"
    assert not all(torch.equal(before[k], v) for k, v in tuned.network.state_dict().items())


def test_a_stopped_tick_publishes_nothing(rng: np.random.Generator) -> None:
    snapshot = Snapshot((frozen(disc_slice(rng)),))
    events = list(run_tick(small_checkpoint(), snapshot, BRIEF, stop=lambda: True))
    assert isinstance(events[-1], TickResult)
    assert events[-1].reason == FinishReason.STOPPED
    assert events[-1].checkpoint is None


def test_below_three_check_slices_it_says_that_nothing_was_checked(
    rng: np.random.Generator,
) -> None:
    checks = tuple(frozen(disc_slice(rng), validation=True) for _ in range(2))
    result = result_of(small_checkpoint(), Snapshot((frozen(disc_slice(rng)), *checks)), BRIEF)
    assert result.checkpoint is not None
    assert "2 of the 3 check slices" in result.message


def test_weights_that_lose_on_the_check_slices_are_refused(
    base: tuple[Checkpoint, list[TrainingSlice]],
) -> None:
    checkpoint, seen = base
    wrong = replace(seen[0], label=1 - seen[0].label)
    snapshot = Snapshot((frozen(wrong), *(frozen(s, validation=True) for s in seen)))
    result = result_of(checkpoint, snapshot, TickConfig(iterations=25, batch=2, learning_rate=1e-2))
    assert result.reason == "refused"
    assert result.checkpoint is None
    assert "worse" in result.message


def test_a_snapshot_without_a_word_of_a_human_is_refused(rng: np.random.Generator) -> None:
    for slices in ((), (frozen(disc_slice(rng), validation=True),)):
        with pytest.raises(TrainingError, match="nothing is annotated"):
            list(run_tick(small_checkpoint(), Snapshot(slices), BRIEF))


def test_labels_beyond_the_classes_are_refused_where_a_human_said_them(
    rng: np.random.Generator,
) -> None:
    item = frozen(disc_slice(rng))
    beyond = replace(item, labels=np.full(item.labels.shape, 2, dtype=np.uint8))
    with pytest.raises(TrainingError, match="label 2"):
        list(run_tick(small_checkpoint(), Snapshot((beyond,)), BRIEF))
    unsaid = replace(beyond, weights=item.weights * (item.labels > 5))
    ignored = Snapshot((item, unsaid))
    assert result_of(small_checkpoint(), ignored, BRIEF).checkpoint is not None


@pytest.mark.parametrize("count", [2, 3, 5, 30])
def test_the_gate_is_the_one_sided_bound_of_student(count: int) -> None:
    rng = np.random.default_rng(count)
    verdicts = set()
    for shift in np.linspace(-0.05, 0.02, 60):
        before = rng.uniform(0.6, 0.9, count)
        after = before + shift + rng.normal(0, 0.01, count)
        change = after - before
        bound = change.mean() + stats.t.ppf(0.9, count - 1) * change.std(ddof=1) / math.sqrt(count)
        assert loses(list(before), list(after)) == (bound < -0.005)
        verdicts.add(bool(bound < -0.005))
    assert count < 3 or verdicts == {True, False}


def test_an_equal_network_is_hardly_ever_refused() -> None:
    rng = np.random.default_rng(0)
    refused = [loses([0.8] * 3, list(0.8 + rng.normal(0, 0.02, 3))) for _ in range(2000)]
    assert np.mean(refused) < 0.12


def test_a_checkpoint_is_published_under_its_digest(tmp_path: Path) -> None:
    path = publish(small_checkpoint(), tmp_path)
    loaded = load_checkpoint(path)
    assert path.name == f"crii-{loaded.digest[:16]}.safetensors"
    stamp = path.stat().st_mtime_ns
    assert publish(small_checkpoint(), tmp_path) == path
    assert path.stat().st_mtime_ns == stamp
    assert publish(small_checkpoint(seed=1), tmp_path) != path


def test_zero_overrides_keep_the_settings_of_a_tick() -> None:
    assert TickConfig().with_overrides() == TickConfig()
    assert TickConfig().with_overrides(7, 0.5) == TickConfig(iterations=7, learning_rate=0.5)
    assert FIRST_RUN.with_overrides(7) == replace(FIRST_RUN, iterations=7)
