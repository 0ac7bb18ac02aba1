"""The training loop, as a generator of frozen events."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from napari_crii.errors import TrainingError
from napari_crii.losses import segmentation_loss
from napari_crii.networks import CRIINet, seeded
from napari_crii.training.config import TrainingConfig
from napari_crii.training.data import TrainingSlice
from napari_crii.training.events import Event, Finished, FinishReason, Stepped
from napari_crii.training.sampling import BatchSampler

_LONGEST_GRADIENT = 5.0


def fit(
    network: CRIINet,
    data: Sequence[TrainingSlice],
    config: TrainingConfig,
    rng: np.random.Generator,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Event]:
    """Train `network` in place; at the end it holds the averaged (EMA) weights.

    Parameters
    ----------
    network
        Trained where it is: its device is the training device.
    data
        Slices with dense or partial masks, at least one of them with an annotated pixel.
    rng
        The only source of randomness: the same one gives the same weights on one device.
    stop
        Asked before each step; when it returns True the run ends with what was learnt.

    Yields
    ------
    Event
        `Stepped` after each step, `Finished` last. A loss that is not finite ends the run with
        reason ``failed`` and the weights that the network came with.

    Raises
    ------
    TrainingError
        If nothing is annotated, or slices and network differ in channels.
    """
    require_learnable(network, data)
    before = copy.deepcopy(network.state_dict())
    average = copy.deepcopy(network).eval()
    sampler = BatchSampler(data, config, rng)
    step = _Step(network, config)
    network.train()
    reason, message, done = FinishReason.COMPLETED, "", 0
    for index in range(config.iterations):
        if stop():
            reason = FinishReason.STOPPED
            break
        loss = step(sampler.draw(), index, seed=int(rng.integers(2**62)))
        if not np.isfinite(loss):
            reason = FinishReason.FAILED
            message = f"the loss or its gradient became {loss} at step {index + 1}"
            break
        done = index + 1
        _follow(average, network, min(config.ema_decay, (1 + index) / (10 + index)))
        yield Stepped(done, config.iterations, loss)
    if not all(bool(torch.isfinite(p).all()) for p in average.parameters()):
        reason, message = FinishReason.FAILED, "the weights are no longer finite numbers"
    network.load_state_dict(before if reason is FinishReason.FAILED else average.state_dict())
    network.eval()
    yield Finished(reason, done, message)


def require_learnable(network: CRIINet, data: Sequence[TrainingSlice]) -> None:
    """Raise `TrainingError` unless something is annotated and fits the network."""
    if not any(bool((item.weight > 0).any()) for item in data):
        raise TrainingError("nothing is annotated, so there is nothing to learn from")
    wrong = [d.image.shape[0] for d in data if d.image.shape[0] != network.config.in_channels]
    if wrong:
        raise TrainingError(
            f"the network expects {network.config.in_channels} channels, a slice has {wrong[0]}"
        )


class _Step:
    """One optimiser step, with its learning-rate schedule."""

    def __init__(self, network: CRIINet, config: TrainingConfig) -> None:
        self._network = network
        self._config = config
        self._device = next(network.parameters()).device
        self._optimiser = torch.optim.AdamW(
            network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )

    def __call__(self, batch: tuple[Tensor, Tensor, Tensor], index: int, seed: int) -> float:
        """Take the step and return the loss; a non-finite loss or gradient changes nothing."""
        for group in self._optimiser.param_groups:
            group["lr"] = learning_rate(index, self._config)
        images, labels, weights = (part.to(self._device) for part in batch)
        images = images.contiguous(memory_format=torch.channels_last)
        with seeded(seed, self._device), self._autocast():
            logits = self._network(images)
        loss = segmentation_loss(logits.coarse.float(), labels, weights)
        loss = loss + segmentation_loss(logits.refined.float(), labels, weights)
        value = float(loss.detach())
        if not np.isfinite(value):
            return value
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = float(torch.nn.utils.clip_grad_norm_(self._network.parameters(), _LONGEST_GRADIENT))
        if not np.isfinite(norm):
            return norm
        self._optimiser.step()
        return value

    def _autocast(self) -> torch.autocast:
        mixed = self._config.mixed_precision
        return torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=mixed)


def learning_rate(index: int, config: TrainingConfig) -> float:
    """Return the learning rate of step `index`: linear warm-up, then polynomial decay."""
    warm = min(1.0, (index + 1) / max(1, min(config.warmup, config.iterations // 4)))
    return float(config.learning_rate * warm * (1 - index / config.iterations) ** 0.9)


@torch.no_grad()
def _follow(average: CRIINet, network: CRIINet, decay: float) -> None:
    """Move the averaged weights towards the network's; young averages move faster."""
    theirs: list[Tensor] = list(network.parameters())
    ours: list[Tensor] = list(average.parameters())
    torch._foreach_mul_(ours, decay)
    torch._foreach_add_(ours, theirs, alpha=1 - decay)
