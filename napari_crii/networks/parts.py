"""A batch in parts, each passed through a network by a thread of its own.

Threads that share every operation meet at its end, some hundred times a pass, and either spin
there, which takes the processor from others, or sleep, which costs a quarter of the pass. Threads
that have parts of the batch meet once. No layer of ours looks from one image at another, so the
result is the same (``docs/decisions/0065-a-batch-in-parts.md``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from functools import partial
from threading import Barrier, Lock
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from napari_crii.networks.randomness import drawing_from

Pass = Callable[[Tensor], tuple[Tensor, ...]]
Mode = Callable[[], AbstractContextManager[Any]]
Result = TypeVar("Result")
_LARGEST_SEED = 1 << 62


def pass_in_parts(
    function: Pass, images: Tensor, weights: Iterable[Tensor] = ()
) -> tuple[Tensor, ...]:
    """Pass images through a network, on the CPU in as many parts as torch has threads.

    Parameters
    ----------
    function
        Maps (B, C, H, W) to tensors of B first; what it returns for an image hangs on no other
        image. Where gradients are asked for, none are passed on to the images.
    weights
        The weights that `function` uses, and that are to have gradients.

    Returns
    -------
    tuple of Tensor
        As `function` returns them. Chance is torch's own: the same seed gives the same result
        with the same number of threads.
    """
    count = min(torch.get_num_threads(), len(images))
    if count < 2 or images.device.type != "cpu":
        return tuple(function(images))
    seeds = torch.randint(_LARGEST_SEED, (count,)).tolist()
    parts = list(zip(images.tensor_split(count), seeds, strict=True))
    learnt = [weight for weight in weights if weight.requires_grad]
    if not torch.is_grad_enabled() or not learnt:
        mode = torch.inference_mode if torch.is_inference_mode_enabled() else torch.no_grad
        passed = _together([partial(_passed, function, *part, mode) for part in parts])
        return tuple(map(torch.cat, zip(*passed, strict=True)))
    joined: tuple[Tensor, ...] = _Parts.apply(function, parts, *learnt)  # type: ignore[no-untyped-call]
    return joined


class _Parts(torch.autograd.Function):
    """The passes of all parts, and the way back through them."""

    @staticmethod
    def forward(
        ctx: Any, function: Pass, parts: list[tuple[Tensor, int]], *weights: Tensor
    ) -> tuple[Tensor, ...]:
        """Keep the parts' graphs, return what they gave."""
        passed = _together([partial(_passed, function, *part, torch.enable_grad) for part in parts])
        ctx.passed, ctx.weights = passed, weights
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
        return None, None, *map(_sum, zip(*_together(ways), strict=True))


def _passed(function: Pass, images: Tensor, seed: int, mode: Mode) -> tuple[Tensor, ...]:
    # Of gradients, too, each thread has a mind of its own.
    with mode(), drawing_from(torch.Generator().manual_seed(seed)):
        return function(images)


def _gradients(
    outputs: Iterable[Tensor], received: Iterable[Tensor | None], weights: tuple[Tensor, ...]
) -> tuple[Tensor | None, ...]:
    ways = [(o, g) for o, g in zip(outputs, received, strict=True) if g is not None]
    return torch.autograd.grad(
        [output for output, _ in ways], weights, [g for _, g in ways], allow_unused=True
    )


def _sum(parts: tuple[Tensor | None, ...]) -> Tensor | None:
    found = [part for part in parts if part is not None]
    return sum(found[1:], found[0]) if found else None


class _Threads:
    """The threads that pass parts; each computes alone."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._count = 0

    def submit(self, works: Sequence[Callable[[], Result]]) -> list[Future[Result]]:
        """Begin all works at once."""
        with self._lock:
            if self._pool is None or self._count < len(works):
                if self._pool is not None:
                    self._pool.shutdown(wait=False)
                self._pool, self._count = _pool(len(works)), len(works)
            return [self._pool.submit(work) for work in works]


def _pool(count: int) -> ThreadPoolExecutor:
    usual, pool, gate = torch.get_num_threads(), ThreadPoolExecutor(count, "part"), Barrier(count)

    def compute_alone() -> None:
        # Torch sets the number at the first question a thread asks; a later wish stays.
        torch.get_num_threads()
        torch.set_num_threads(1)
        # Nobody is done before every thread is here.
        gate.wait()

    wait([pool.submit(compute_alone) for _ in range(count)])
    # What one thread asks for, torch takes as the wish of all that come later.
    torch.set_num_threads(usual)
    return pool


_THREADS = _Threads()


def _together(works: Sequence[Callable[[], Result]]) -> list[Result]:
    """Return what the works give; if one fails, its error once all have ended."""
    begun = _THREADS.submit(works)
    wait(begun)
    return [work.result() for work in begun]
