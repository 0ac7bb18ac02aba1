from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from napari_crii.checkpoint import Checkpoint
from napari_crii.metrics import dice
from napari_crii.phantom import make_phantom
from napari_crii.session import Session
from napari_crii.snapshot import Snapshot
from napari_crii.training import (
    Checked,
    Finished,
    FinishReason,
    Stepped,
    TrainingConfig,
    TrainingSlice,
    fit,
)
from napari_crii.training.data import from_snapshot
from napari_crii.training.judging import Judge
from napari_crii.training.tick import TickResult, run_tick
from napari_crii.training.tick_config import TickConfig
from tests.factories import disc_slice, small_checkpoint, small_network
from tests.training.ticks import BRIEF, frozen, result_of


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
    assert result.check_slices == 5
    assert result.before == pytest.approx(np.mean(before[1:]), abs=0.02)
    assert result.after == pytest.approx(np.mean(after[1:]), abs=0.02)


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


@pytest.mark.parametrize("count", [0, 2])
def test_below_three_check_slices_it_publishes_and_says_that_they_are_too_few(
    count: int, rng: np.random.Generator
) -> None:
    checks = tuple(frozen(disc_slice(rng), validation=True) for _ in range(count))
    result = result_of(small_checkpoint(), Snapshot((frozen(disc_slice(rng)), *checks)), BRIEF)
    assert result.checkpoint is not None
    assert f"{count} of the 3 check slices" in result.message
    assert result.check_slices == count
    assert (result.before, result.after) == (-1, -1) or count


def test_weights_are_checked_before_on_the_way_and_after(rng: np.random.Generator) -> None:
    checks = tuple(frozen(disc_slice(rng), validation=True) for _ in range(3))
    snapshot = Snapshot((frozen(disc_slice(rng)), *checks))
    config = TickConfig(iterations=10, batch=2, crop=48)
    events = list(run_tick(small_checkpoint(), snapshot, config))
    found = [event for event in events if isinstance(event, Checked)]
    assert [(event.step, event.slices) for event in found] == [
        (step, 3) for step in (0, 2, 4, 6, 8, 10)
    ]
    result = events[-1]
    assert isinstance(result, TickResult)
    assert (found[0].dice, found[-1].dice) == (result.before, result.after)
    plain = result_of(small_checkpoint(), replace(snapshot, slices=snapshot.slices[:1]), config)
    assert plain.checkpoint is not None
    assert result.checkpoint is not None
    pairs = zip(
        plain.checkpoint.network.parameters(), result.checkpoint.network.parameters(), strict=True
    )
    assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize(("slices", "share"), [(1, 1 / 2), (3, 3 / 4)])
def test_the_fewer_slices_the_nearer_the_result_stays_to_where_it_came_from(
    slices: int, share: float, rng: np.random.Generator
) -> None:
    start = small_checkpoint()
    said = tuple(frozen(disc_slice(rng), replay=place > 0) for place in range(slices))
    # Too few for a verdict: whatever comes out is published.
    checks = tuple(frozen(disc_slice(rng), validation=True) for _ in range(2))
    held, free = (
        result_of(
            start, Snapshot(said + checks), replace(BRIEF, learning_rate=0.1, halfway=halfway)
        )
        for halfway in (1, 0)
    )
    assert held.checkpoint is not None
    assert free.checkpoint is not None
    networks = (start.network, held.checkpoint.network, free.checkpoint.network)
    for old, found, all_of_it in zip(*(n.parameters() for n in networks), strict=True):
        torch.testing.assert_close(found, old + share * (all_of_it - old))
    # What is judged is what is published.
    judge = Judge(
        from_snapshot(checks, start.preprocessing, 2), 2, torch.device("cpu"), one_object=False
    )
    assert held.after == pytest.approx(np.mean(judge.scores(held.checkpoint.network)))
    assert held.after != free.after


def test_who_wants_the_device_is_given_way_while_weights_are_judged_too(
    rng: np.random.Generator,
) -> None:
    snapshot = Snapshot(
        tuple(frozen(disc_slice(rng), validation=number > 0) for number in range(4))
    )
    asked: list[int] = []

    def wanted() -> bool:
        asked.append(1)
        return False

    found: list[tuple[str, int]] = []
    for event in run_tick(small_checkpoint(), snapshot, BRIEF, wanted=wanted):
        found.append((type(event).__name__, len(asked)))
        asked.clear()
    layers = sum(isinstance(layer, nn.Conv2d) for layer in small_checkpoint().network.modules())
    # One slice is looked at before the first of them.
    checked = [times for name, times in found if name == "Checked"]
    assert checked == [4 * layers, 3 * layers, 3 * layers]


def test_plus_learns_from_untouched_slices_of_a_phantom_and_what_was_said_overrides() -> None:
    volume, mask = make_phantom((6, 48, 56))
    session = Session(small_checkpoint(classes=3).classes)
    case = session.open(volume)
    for index in (2, 3):
        case.seed(index, mask[index])
    snapshot = session.snapshot()
    assert len(snapshot.unlabelled) == 4
    start = small_checkpoint(classes=3)
    found = {}
    for name in ("sup", "faithful", "plus"):
        config = TickConfig(iterations=6, batch=2, crop=32, preset=name)
        result = result_of(start, snapshot, config)
        assert result.checkpoint is not None, result.message
        assert result.checkpoint.provenance["slices"] == 2
        found[name] = [p.detach() for p in result.checkpoint.network.parameters()]
        alone = result_of(start, replace(snapshot, unlabelled=()), config)
        assert alone.checkpoint is not None
        same = [
            torch.equal(a, b)
            for a, b in zip(found[name], alone.checkpoint.network.parameters(), strict=True)
        ]
        assert all(same) == (name == "sup")
    for name in ("faithful", "plus"):
        assert not all(torch.equal(a, b) for a, b in zip(found["sup"], found[name], strict=True))


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
