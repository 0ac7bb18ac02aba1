from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from napari_crii.device import is_out_of_memory
from napari_crii.networks import CRIINet, seeded
from napari_crii.networks.blocks import Dropout
from napari_crii.networks.parts import _Cut, _pool, pass_in_parts
from tests.factories import small_network
from tests.threads import torch_threads


@pytest.fixture
def threads() -> Iterator[None]:
    with torch_threads(3):
        yield


def outputs(network: CRIINet, images: Tensor) -> tuple[Tensor, ...]:
    logits, features = network.forward_with_features(images)
    return (*logits, features)


def gradients(network: CRIINet, found: tuple[Tensor, ...]) -> list[Tensor | None]:
    network.zero_grad()
    torch.autograd.backward(found[0].square().mean() + found[1].sin().mean())
    return [p.grad for p in network.parameters()]


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("count", [3, 5, 8])
def test_parts_give_what_the_whole_gives_and_the_same_gradients(count: int) -> None:
    # In 64 bits, for a difference that rounding does not explain shows there.
    network = small_network(settled=True).eval().double()
    images = torch.randn(count, 1, 24, 37, dtype=torch.float64)
    whole = outputs(network, images)
    wanted = gradients(network, whole)
    parts = pass_in_parts(lambda part: outputs(network, part), images, network.parameters())
    for passed, expected in zip(parts, whole, strict=True):
        torch.testing.assert_close(passed, expected)
    for one, other in zip(gradients(network, parts), wanted, strict=True):
        # What the loss does not reach has no gradient, and not one of zeros.
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            torch.testing.assert_close(one, other)


@pytest.mark.usefixtures("threads")
def test_every_part_has_a_thread_that_computes_alone() -> None:
    seen, meeting = {}, threading.Barrier(3, timeout=20)

    def told(part: Tensor) -> tuple[Tensor, ...]:
        # Passed only if all parts are here at once.
        meeting.wait()
        seen[threading.get_ident()] = (len(part), torch.get_num_threads())
        return (part,)

    images = torch.randn(8, 1, 2, 2)
    (same,) = pass_in_parts(told, images, [])
    assert torch.equal(same, images)
    assert sorted(seen.values()) == [(2, 1), (3, 1), (3, 1)]
    assert threading.get_ident() not in seen
    assert torch.get_num_threads() == 3
    later: list[int] = []
    thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert later == [3]


@pytest.mark.usefixtures("threads")
def test_chance_is_that_of_the_seed() -> None:
    network, images = small_network(settled=True).train(), torch.randn(6, 1, 32, 32)

    def drawn(seed: int) -> list[Tensor]:
        with seeded(seed):
            found = pass_in_parts(lambda p: outputs(network, p), images, network.parameters())
        return [*found, *(g for g in gradients(network, found) if g is not None)]

    first, again, other = drawn(1), drawn(1), drawn(2)
    assert all(map(torch.equal, first, again))
    assert not torch.equal(first[0], other[0])


@pytest.mark.usefixtures("threads")
def test_parts_do_not_share_what_they_draw() -> None:
    layer = Dropout(0.5).train()
    (dropped,) = pass_in_parts(lambda part: (layer(part),), torch.ones(3, 1, 8, 8), [])
    assert len({tuple(image.flatten().tolist()) for image in dropped}) == 3


def test_dropout_keeps_the_mean_and_its_gradient_follows_what_is_kept() -> None:
    layer, images = Dropout(0.25).train(), torch.ones(1, 1, 200, 200, requires_grad=True)
    with seeded(0):
        dropped = layer(images)
    torch.autograd.backward(dropped.sum())
    dropped = dropped.detach()
    torch.testing.assert_close(images.grad, dropped)
    assert {round(v, 4) for v in dropped.unique().tolist()} == {0.0, round(1 / 0.75, 4)}
    # Four standard errors of the share that is kept.
    assert abs(float(dropped.mean()) - 1) < 4 * (0.25 / 0.75 / 40_000) ** 0.5
    assert torch.equal(layer.eval()(images), images)


@pytest.mark.usefixtures("threads")
def test_an_error_of_a_part_is_told_once_all_have_ended() -> None:
    ended = []

    def fails(part: Tensor) -> tuple[Tensor, ...]:
        if bool(part.max() > 2):
            raise MemoryError("no room")
        threading.Event().wait(0.05)
        ended.append(len(part))
        return (part,)

    images = torch.tensor([3.0, 1.0, 2.0])[:, None, None, None]
    with pytest.raises(MemoryError, match="no room"):
        pass_in_parts(fails, images, [])
    assert ended == [1, 1]


@pytest.mark.usefixtures("threads")
def test_nothing_is_kept_where_nobody_asks_for_gradients() -> None:
    network, asked = small_network(settled=True), []

    def told(part: Tensor) -> tuple[Tensor, ...]:
        asked.append((torch.is_grad_enabled(), torch.is_inference_mode_enabled()))
        return outputs(network, part)

    images = torch.randn(3, 1, 32, 32)
    with torch.no_grad():
        pass_in_parts(told, images, network.parameters())
    before = torch.get_rng_state()
    with torch.inference_mode():
        pass_in_parts(told, images, network.parameters())
    assert asked == 3 * [(False, False)] + 3 * [(False, True)]
    # Who proposes leaves everybody's chance alone.
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.usefixtures("threads")
def test_what_is_frozen_is_passed_and_has_no_gradient() -> None:
    network, images = small_network(settled=True), torch.randn(3, 1, 32, 32)
    for name, weight in network.named_parameters():
        weight.requires_grad_(name.startswith("refined_head"))
    parts = pass_in_parts(lambda p: outputs(network, p), images, network.parameters())
    found = gradients(network, parts)
    assert sum(one is not None and bool(one.any()) for one in found) == 2
    assert sum(one is not None for one in found) == 2


@pytest.mark.parametrize(
    ("images", "threads", "cut"),
    [
        (8, 2, (2, 1)),
        (7, 2, (2, 1)),
        (3, 2, (1, 2)),
        (1, 2, (1, 2)),
        (8, 7, (2, 3)),
        (16, 15, (5, 3)),
        (2, 8, (2, 4)),
        (8, 8, (8, 1)),
        (4, 3, (1, 3)),
        (6, 1, (1, 1)),
    ],
)
def test_few_processors_are_left_without_work(
    images: int, threads: int, cut: tuple[int, int]
) -> None:
    assert _Cut.of(images, threads) == cut


def test_a_thread_that_cannot_be_started_leaves_none_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usual = torch.get_num_threads()
    started: list[threading.Thread] = []
    start = threading.Thread.start

    def starts_once(thread: threading.Thread) -> None:
        if started:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", starts_once)
    with pytest.raises(RuntimeError, match="new thread") as refused:
        _pool(_Cut(3, 1))
    monkeypatch.undo()
    assert is_out_of_memory(refused.value)
    started[0].join(20)
    assert not started[0].is_alive()
    assert torch.get_num_threads() == usual


def test_one_thread_passes_the_whole() -> None:
    images = torch.zeros(4, 1, 2, 2)
    with torch_threads(1):
        (where,) = pass_in_parts(lambda p: (p + threading.get_ident() % 97,), images, [])
    assert torch.equal(where, images + threading.get_ident() % 97)
