"""How a network makes room for others while it computes: between two layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from napari_crii.device import yield_now

LONGEST_SECONDS = 1.0


@contextmanager
def yielding(
    networks: Iterable[nn.Module], wanted: Callable[[], bool], device: torch.device
) -> Iterator[None]:
    """Let networks wait after each convolution, on their way and on the way back.

    A step takes up to half a second on a processor, a layer a few milliseconds. Nothing that is
    computed changes. A pass and its way back wait for a second in all and then go on: where the
    device is wanted again and again, with no more than moments between, they would never end.

    Parameters
    ----------
    wanted
        Whether somebody else wants the device; asked from several threads where a batch is passed
        in parts.
    """
    left = LONGEST_SECONDS

    def begin(_: nn.Module, __: object) -> None:
        nonlocal left
        left = LONGEST_SECONDS

    def wait(*_: object) -> None:
        nonlocal left
        if left > 0:
            left -= yield_now(wanted, device, left)

    def after(_: nn.Module, __: object, features: Tensor) -> None:
        wait()
        if features.grad_fn is not None:
            features.grad_fn.register_prehook(wait)

    hooks = []
    for network in networks:
        layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
        hooks += [layer.register_forward_hook(after) for layer in layers]
        # Layers are listed in the order in which they are passed.
        hooks += [layer.register_forward_pre_hook(begin) for layer in layers[:1]]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
