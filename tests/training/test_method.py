"""The semi-supervised method as a whole: presets, targets, edge cases."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_crii.errors import TrainingError
from napari_crii.metrics import dice
from napari_crii.networks import CRIINet
from napari_crii.training import Finished, FinishReason, TrainingConfig, TrainingSlice, fit
from napari_crii.training.method import FAITHFUL, PLUS, PRESETS, SUP, MethodConfig, preset
from napari_crii.training.objectives import CoarseRefined, Step
from napari_crii.training.streams import Batch, StreamSampler, Unlabelled, without_labels
from tests.factories import disc_slice, small_network

EARLY = {"labelled_only": 0.0, "ranked_from": 0.0, "ranked_full": 0.01}
ALL = replace(PLUS, intra=0.1, inter=0.1, consistency=0.1, **EARLY)
SHORT = TrainingConfig(iterations=3, batch=2, crop=48)
METHODS = {
    "sup": SUP,
    "faithful": replace(FAITHFUL, ranked_from=0.0, ranked_full=0.01),
    "plus": replace(PLUS, labelled_only=0.0),
    "all": ALL,
}


def material(
    count: int = 2, pool: int = 3, shape: tuple[int, int] = (56, 64)
) -> list[TrainingSlice]:
    rng = np.random.default_rng(4)
    return [disc_slice(rng, shape) for _ in range(count)] + without_labels(
        [disc_slice(rng, shape) for _ in range(pool)]
    )


def run(network: CRIINet, data: list[TrainingSlice], method: MethodConfig) -> Finished:
    config = replace(SHORT, method=method)
    *_, last = fit(network, data, config, np.random.default_rng(0))
    assert isinstance(last, Finished)
    return last


def weights_of(network: CRIINet) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def step_of(network: CRIINet, data: list[TrainingSlice], progress: float = 0.9) -> Step:
    config = replace(SHORT, batch=4, method=PLUS)
    batch = StreamSampler(data, config, np.random.default_rng(0)).draw()
    return Step(network, network, batch, progress)


@pytest.mark.parametrize("name", METHODS)
def test_the_same_seed_gives_the_same_weights(name: str) -> None:
    found = []
    for _ in range(2):
        network = small_network(settled=True)
        assert run(network, material(), METHODS[name]).reason is FinishReason.COMPLETED
        torch.rand(5)
        found.append(weights_of(network))
    assert torch.equal(*found)
    assert bool(torch.isfinite(found[0]).all())


@pytest.mark.parametrize("name", ["faithful", "plus"])
def test_unlabelled_slices_change_what_is_learnt(name: str) -> None:
    with_pool, without = small_network(settled=True), small_network(settled=True)
    everywhere = replace(METHODS[name], agreement=(0.0, 1e-6))
    run(with_pool, material(), everywhere)
    run(without, material(pool=0), everywhere)
    assert not torch.equal(weights_of(with_pool), weights_of(without))


@pytest.mark.parametrize("name", METHODS)
def test_labels_that_nobody_said_do_not_change_the_weights(name: str) -> None:
    first, second, data = small_network(), small_network(), material()
    weight = torch.ones_like(data[0].weight)
    weight[:, 30:] = 0
    partial = [replace(data[0], weight=weight), *data[1:]]
    other = [replace(s, label=torch.where(s.weight > 0, s.label, 1 - s.label)) for s in partial]
    run(first, partial, METHODS[name])
    run(second, other, METHODS[name])
    assert torch.equal(weights_of(first), weights_of(second))


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("pool", [0, 1])
def test_one_image_is_enough(name: str, pool: int) -> None:
    end = run(small_network(), material(count=1, pool=pool), METHODS[name])
    assert end.reason is FinishReason.COMPLETED


@pytest.mark.parametrize("name", METHODS)
def test_images_of_different_sizes_are_learnt_from(name: str) -> None:
    data = material(1, 1) + material(1, 1, (33, 70)) + material(1, 1, (90, 20))
    assert run(small_network(), data, METHODS[name]).reason is FinishReason.COMPLETED


@pytest.mark.parametrize("name", METHODS)
def test_a_class_that_no_labelled_slice_shows_does_no_harm(name: str) -> None:
    network = small_network(classes=4)
    end = run(network, material(), METHODS[name])
    assert end.reason is FinishReason.COMPLETED
    assert bool(torch.isfinite(weights_of(network)).all())


@pytest.mark.parametrize("name", METHODS)
def test_labelled_slices_without_foreground_do_no_harm(name: str) -> None:
    data = [replace(s, label=torch.zeros_like(s.label)) for s in material()]
    assert run(small_network(), data, METHODS[name]).reason is FinishReason.COMPLETED


@pytest.mark.parametrize("name", METHODS)
def test_no_labelled_slice_or_a_label_that_is_no_class_is_refused(name: str) -> None:
    data = material()
    with pytest.raises(TrainingError, match="nothing is annotated"):
        run(small_network(), without_labels(data), METHODS[name])
    wrong = replace(data[0], label=torch.full_like(data[0].label, 2))
    with pytest.raises(TrainingError, match="label 2 is not one of the classes 0 to 1"):
        run(small_network(), [wrong, *data[1:]], METHODS[name])


def test_pseudo_labels_are_those_of_mirrored_views_laid_back() -> None:
    network = small_network(settled=True)
    step = step_of(network, material())
    assert step.batch.unlabelled is not None
    weak = step.batch.unlabelled.weak
    labels, agreement = CoarseRefined(replace(PLUS, views=4), 2).pseudo_labels(step, weak)
    total = torch.zeros(4, 2, 48, 48)
    for axes in ((), (2,), (3,), (2, 3)):
        turned = weak.flip(axes) if axes else weak
        p = network(turned).refined.softmax(1).detach()
        total += p.flip(axes) if axes else p
    assert float((labels == total.argmax(1)).float().mean()) > 0.999
    assert agreement.shape == (4,)


@pytest.mark.parametrize("mirror_axes", [(), (0,), (1,)])
def test_views_are_mirrored_only_where_a_mirrored_slice_is_one_of_its_kind(
    mirror_axes: tuple[int, ...],
) -> None:
    network = small_network(settled=True)
    step = step_of(network, material())
    assert step.batch.unlabelled is not None
    weak = step.batch.unlabelled.weak
    four = replace(PLUS, views=4)
    labels, _ = CoarseRefined(four, 2, mirror_axes).pseudo_labels(step, weak)
    seen = [weak, *(weak.flip(axis + 2) for axis in mirror_axes)]
    p = [network(x).refined.softmax(1).detach() for x in seen]
    total = sum(q.flip(axis + 2) for q, axis in zip(p[1:], mirror_axes, strict=True)) + p[0]
    assert float((labels == total.argmax(1)).float().mean()) > 0.999


def test_one_view_is_trusted_as_far_as_its_branches_agree() -> None:
    network = small_network(settled=True)
    step = step_of(network, material())
    assert step.batch.unlabelled is not None
    weak = step.batch.unlabelled.weak
    alone, agreement = CoarseRefined(PLUS, 2).pseudo_labels(step, weak)
    coarse, refined = (logits.argmax(1) for logits in network(weak))
    assert torch.equal(alone, refined)
    pairs = zip((coarse == 1).numpy(), (refined == 1).numpy(), strict=True)
    np.testing.assert_allclose(agreement, [dice(a, b) for a, b in pairs], atol=1e-6)


def test_a_human_label_overwrites_the_pseudo_label() -> None:
    network = small_network(settled=True)
    step = step_of(network, material())
    weak = torch.randn(4, 1, 48, 48)
    labels, weights = torch.zeros(4, 48, 48, dtype=torch.long), torch.zeros(4, 48, 48)
    labels[:, :10], weights[:, :10] = 1, 1
    rest = Unlabelled(weak, weak[None], labels, weights)
    found, certainty = CoarseRefined(PLUS, 2)._pseudo_labelled(step, rest)
    assert bool((found.labels[:, :10] == 1).all())
    assert bool((certainty[:, :10] == 1).all())
    assert bool((certainty[:, 10:] <= PLUS.pseudo_weight).all())


def test_views_that_disagree_teach_nothing() -> None:
    network = small_network(settled=True)
    step = step_of(network, material())
    never = replace(PLUS, low_contrast=0.0, agreement=(0.999, 1.0), pseudo_weight=0.5)
    torch.manual_seed(0)
    loss = CoarseRefined(never, 2)(step)
    rest = step.batch.unlabelled
    assert rest is not None
    _, agreement = CoarseRefined(never, 2).pseudo_labels(step, rest.weak)
    assert float(agreement.max()) < 0.999
    torch.manual_seed(0)
    unsure = CoarseRefined(replace(never, pseudo_weight=0.0), 2)(step)
    assert torch.equal(loss, unsure)


def test_mixing_is_labelled_only_at_first() -> None:
    network = small_network(settled=True)
    step, other = (step_of(network, material(), progress=0.1) for _ in range(2))
    assert other.batch.unlabelled is not None
    nonsense = replace(
        other.batch.unlabelled, strong=torch.full_like(step.batch.unlabelled.strong, 9)
    )
    other = replace(other, batch=Batch(other.batch.labelled, nonsense))
    losses = []
    for one in (step, other):
        torch.manual_seed(0)
        losses.append(CoarseRefined(PLUS, 2)(one))
    assert torch.equal(*losses)


def test_every_ingredient_changes_the_loss() -> None:
    network = small_network(settled=True)
    step = step_of(network, material())
    seen = set()
    for method in (
        SUP, replace(SUP, low_contrast=1.0), replace(SUP, intra=1.0), replace(SUP, inter=1.0),
        replace(SUP, unlabelled=True, consistency=1.0), replace(SUP, mixing=True),
    ):  # fmt: skip
        torch.manual_seed(0)
        seen.add(round(float(CoarseRefined(method, 2)(step).detach()), 6))
    assert len(seen) == 6


def test_ranked_losses_wait_for_their_time() -> None:
    network = small_network(settled=True)
    losses = []
    for method in (SUP, replace(SUP, intra=1.0, inter=1.0)):
        torch.manual_seed(0)
        losses.append(CoarseRefined(method, 2)(step_of(network, material(), progress=0.1)))
    assert torch.equal(*losses)


def test_plus_overfits_one_slice_and_its_mirror_image() -> None:
    network = small_network(widths=(8, 8, 16, 16, 16), dropout=(0.0,) * 5)
    item = material(1, 0)[0]
    config = TrainingConfig(
        iterations=60, batch=4, crop=48, learning_rate=1e-2, warmup=5,
        method=replace(PLUS, labelled_only=0.5),
    )  # fmt: skip
    data = [item, *without_labels([item])]
    *_, last = fit(network, data, config, np.random.default_rng(0))
    assert isinstance(last, Finished)
    guess = network(item.image[None]).refined.argmax(1)[0].numpy()
    assert dice(guess, item.label.numpy()) > 0.85


def test_presets_have_names() -> None:
    assert [preset(name) for name in PRESETS] == [SUP, FAITHFUL, PLUS]
    with pytest.raises(
        TrainingError, match="no preset 'best': the presets are sup, faithful, plus"
    ):
        preset("best")


@pytest.mark.parametrize(
    "nonsense",
    [
        {"consistency": -1.0},
        {"intra": float("nan")},
        {"inter": float("inf")},
        {"box": 1.1},
        {"labelled_only": -0.1},
        {"agreement": (0.9, 0.6)},
        {"fading": (0.2, 1.2)},
        {"ranked_from": 0.3},
        {"views": 5},
        {"consistency_ramp": 0.0},
    ],
)
def test_a_method_refuses_nonsense(nonsense: dict[str, float]) -> None:
    with pytest.raises(TrainingError):
        MethodConfig(**nonsense)  # type: ignore[arg-type]
