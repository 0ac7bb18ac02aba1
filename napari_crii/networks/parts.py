"""A batch in parts, each passed through a network by a thread of its own.

Threads that share every operation meet at its end, some hundred times a pass, and either spin
there, which takes the processor from others, or sleep, which costs time. Threads that have parts
of the batch meet once (``docs/decisions/0065-a-batch-in-parts.md``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from functools import partial
from threading import Barrier, Lock
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import conv2d

from napari_crii.networks.randomness import drawing_from

Pass = Callable[[Tensor], tuple[Tensor, ...]]
Mode = Callable[[], AbstractContextManager[Any]]
Result = TypeVar("Result")
_LARGEST_SEED = 1 << 62
# Of the processors that are there; below, the whole batch is passed at once.
_LEAST_SHARE_AT_WORK = 0.8


def pass_in_parts(
    function: Pass, images: Tensor, weights: Iterable[Tensor] = ()
) -> tuple[Tensor, ...]:
    """Pass images through a network, on the CPU in parts side by side where that pays.

    Parameters
    ----------
    function
        Maps (B, C, H, W) to tensors of B first. It runs in several threads at once, what it returns
        for an image hangs on no other image, and what torch keeps for each thread by itself, like
        autocast, it sets itself.
    weights
        What `function` learns by: gradients reach these and nothing else, and they are asked for
        once.

    Returns
    -------
    tuple of Tensor
        As `function` returns them. Chance is torch's own: the same seed gives the same result where
        torch has the same number of threads. In inference mode nothing is drawn.
    """
    cut = _Cut.of(len(images), torch.get_num_threads())
    if cut.parts < 2 or images.device.type != "cpu":
        return tuple(function(images))
    learnt = [weight for weight in weights if weight.requires_grad]
    inference = torch.is_inference_mode_enabled()
    seeds = [0] * cut.parts if inference else torch.randint(_LARGEST_SEED, (cut.parts,)).tolist()
    parts = list(zip(images.tensor_split(cut.parts), seeds, strict=True))
    if torch.is_grad_enabled() and learnt and not inference:
        return _joined(function, cut, parts, *learnt)
    mode = torch.inference_mode if inference else torch.no_grad
    passed = _together(cut, [partial(_passed, function, *part, mode) for part in parts])
    return tuple(map(torch.cat, zip(*passed, strict=True)))


def begin_threads(images: int) -> None:
    """Begin the threads that will pass batches of so many images.

    They then have what a thread takes for itself before memory gets short.
    """
    weight = torch.zeros(8, 8, 3, 3, requires_grad=True)
    (found,) = pass_in_parts(
        lambda part: (conv2d(part, weight),), torch.zeros(images, 8, 16, 16), [weight]
    )
    torch.autograd.backward(found.sum())


class _Cut(NamedTuple):
    """Into how many parts a batch is cut, and how many threads of torch's pass each."""

    parts: int
    threads: int

    @classmethod
    def of(cls, images: int, threads: int) -> _Cut:
        """Return the most parts that leave few processors without work; 1 if none does."""
        for parts in range(min(images, threads), 1, -1):
            each, largest = threads // parts, -(-images // parts)
            if images * each >= _LEAST_SHARE_AT_WORK * largest * threads:
                return cls(parts, each)
        return cls(1, threads)


class _Parts(torch.autograd.Function):
    """The passes of all parts, and the way back through them."""

    @staticmethod
    def forward(
        ctx: Any, function: Pass, cut: _Cut, parts: list[tuple[Tensor, int]], *weights: Tensor
    ) -> tuple[Tensor, ...]:
        """Keep the parts' graphs, return what they gave."""
        works = [partial(_passed, function, *part, torch.enable_grad) for part in parts]
        passed = _together(cut, works)
        ctx.passed, ctx.cut, ctx.weights = passed, cut, weights
        ctx.set_materialize_grads(False)
        return tuple(
            torch.cat([one.detach() for one in outputs]) for outputs in zip(*passed, strict=True)
        )

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        """Return the sum of the parts' gradients of the weights."""
        sizes = [len(outputs[0]) for outputs in ctx.passed]
        split = [len(sizes) * [None] if g is None else torch.split(g, sizes) for g in gradients]
        ways = [
            partial(_gradients, outputs, received, ctx.weights)
            for outputs, received in zip(ctx.passed, zip(*split, strict=True), strict=True)
        ]
        del ctx.passed
        return None, None, None, *map(_sum, zip(*_together(ctx.cut, ways), strict=True))


# Torch does not tell what this takes and returns.
_joined: Callable[..., tuple[Tensor, ...]] = _Parts.apply


def _passed(function: Pass, images: Tensor, seed: int, mode: Mode) -> tuple[Tensor, ...]:
    # Of gradients, too, each thread has a mind of its own.
    with mode(), drawing_from(torch.Generator().manual_seed(seed)):
        return function(images)


def _gradients(
    outputs: Iterable[Tensor], received: Iterable[Tensor | None], weights: tuple[Tensor, ...]
) -> tuple[Tensor | None, ...]:
    pairs = zip(outputs, received, strict=True)
    ways = [(o, g) for o, g in pairs if g is not None and o.requires_grad]
    if not ways:
        return (None,) * len(weights)
    return torch.autograd.grad(
        [output for output, _ in ways], weights, [g for _, g in ways], allow_unused=True
    )


def _sum(parts: tuple[Tensor | None, ...]) -> Tensor | None:
    found = [part for part in parts if part is not None]
    return sum(found[1:], found[0]) if found else None


class _Pools:
    """Threads that pass parts, made when they are first needed."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._made: dict[_Cut, ThreadPoolExecutor] = {}

    def submit(self, cut: _Cut, works: Sequence[Callable[[], Result]]) -> list[Future[Result]]:
        """Begin all works at once."""
        with self._lock:
            if cut not in self._made:
                self._made[cut] = _pool(cut)
            return [self._made[cut].submit(work) for work in works]


def _pool(cut: _Cut) -> ThreadPoolExecutor:
    usual, gate = torch.get_num_threads(), Barrier(cut.parts)
    pool = ThreadPoolExecutor(cut.parts, "part")

    def take_few() -> None:
        # Torch sets the number at the first question a thread asks; a later wish stays.
        torch.get_num_threads()
        torch.set_num_threads(cut.threads)
        # Nobody is done before every thread is here.
        gate.wait()

    try:
        wait([pool.submit(take_few) for _ in range(cut.parts)])
    except BaseException:
        # A thread could not be started: those that wait for it would wait without end.
        gate.abort()
        pool.shutdown(wait=False)
        raise
    finally:
        # What one thread asks for, torch takes as the wish of all that come later.
        torch.set_num_threads(usual)
    return pool


_POOLS = _Pools()


def _together(cut: _Cut, works: Sequence[Callable[[], Result]]) -> list[Result]:
    """Return what the works give; if one fails, its error once all have ended."""
    begun = _POOLS.submit(cut, works)
    wait(begun)
    return [work.result() for work in begun]
