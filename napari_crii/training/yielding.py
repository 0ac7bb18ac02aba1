"""How a network makes room for others while it computes: between two layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from napari_crii.device import yield_now


@contextmanager
def yielding(
    networks: Iterable[nn.Module], wanted: Callable[[], bool], device: torch.device
) -> Iterator[None]:
    """Let networks wait after each convolution, on their way and on the way back.

    A step takes up to half a second on a processor, a layer a few milliseconds. Nothing that is
    computed changes.

    Parameters
    ----------
    wanted
        Whether somebody else wants the device; asked from several threads where a batch is passed
        in parts.
    """

    def wait(_: object = None) -> None:
        yield_now(wanted, device)

    def after(_: nn.Module, __: object, features: Tensor) -> None:
        wait()
        if features.requires_grad:
            features.register_hook(wait)  # type: ignore[no-untyped-call]

    hooks = [
        layer.register_forward_hook(after)
        for network in networks
        for layer in network.modules()
        if isinstance(layer, nn.Conv2d)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
