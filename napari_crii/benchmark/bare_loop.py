"""The yardstick of training: a bare loop of torch, in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path


def make_bare_loop(
    checkpoint: Path, shape: tuple[int, int], spacing: tuple[float, float] | None
) -> Callable[[int], float]:
    """Return what takes so many training steps and returns how many it took a second.

    A step is what no training can do without: the network's pass over a batch that lies ready, as
    large as a tick's, cross-entropy of both branches, the gradient, AdamW. No augmentation, no
    Dice, no clipping, no average of the weights, nobody who is told. As many threads as torch
    takes by itself, which is what the trainer takes, too; priority and waiting as torch has them.

    Parameters
    ----------
    checkpoint
        The network and its weights.
    shape, spacing
        Rows and columns of the scan's slices, and the size of a pixel in mm where it is known: a
        tick's crops are no larger than these need.

    Raises
    ------
    CheckpointError
        If the weights cannot be read.
    """
    import torch
    from torch.nn.functional import cross_entropy

    from napari_crii.checkpoint import load_checkpoint
    from napari_crii.training.tick_config import TickConfig

    loaded = load_checkpoint(checkpoint)
    network, config = loaded.network, loaded.network.config
    working = loaded.preprocessing.working_shape(shape, spacing)
    tick = TickConfig().fitted([working])
    batch, crop = tick.batch, tick.crop
    network.train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-6)
    made = torch.Generator().manual_seed(0)
    images = torch.rand(batch, config.in_channels, crop, crop, generator=made)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(config.classes, (batch, crop, crop), generator=made)

    def step() -> None:
        logits = network(images)
        loss = cross_entropy(logits.coarse, labels) + cross_entropy(logits.refined, labels)
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimiser.step()

    def rate(steps: int) -> float:
        # The first one wakes what slept while others were measured.
        step()
        started = time.perf_counter()
        for _ in range(steps):
            step()
        return steps / (time.perf_counter() - started)

    return rate
