"""The training loop, as a generator of frozen events."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from napari_crii.networks import CRIINet, seeded
from napari_crii.training.config import TrainingConfig
from napari_crii.training.data import TrainingSlice
from napari_crii.training.events import Event, Finished, FinishReason, Stepped
from napari_crii.training.objectives import CoarseRefined, Objective, Step
from napari_crii.training.streams import Batch, StreamSampler, require_slices

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
        Slices with dense or partial masks, at least one of them with an annotated pixel. Slices
        whose weight is 0 everywhere are the unlabelled ones; ``config.method`` says whether
        they are learnt from, and how. They may differ in size.
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
        If nothing is annotated, slices and network differ in channels, or a weighted label is
        not a class.
    """
    require_slices(data, network.config.in_channels, network.config.classes)
    objective = CoarseRefined(config.method, network.config.classes, config.mirror_axes)
    yield from Learner(network, objective, StreamSampler(data, config, rng), config, rng).run(stop)


class Learner:
    """A network that learns by an objective, followed by the average of its weights.

    Parameters
    ----------
    network
        Trained where it is.
    objective
        What each step minimises.
    sampler
        Draws the batches.
    """

    def __init__(
        self,
        network: nn.Module,
        objective: Objective,
        sampler: StreamSampler,
        config: TrainingConfig,
        rng: np.random.Generator,
    ) -> None:
        self.network = network
        self.average = copy.deepcopy(network).eval()
        self._sampler = sampler
        self._config = config
        self._rng = rng
        self._step = _Step(network, self.average, objective, config)

    def run(self, stop: Callable[[], bool] = lambda: False) -> Iterator[Event]:
        """Take every step; yields and ends as `fit` does."""
        before = copy.deepcopy(self.network.state_dict())
        config, network, average = self._config, self.network, self.average
        network.train()
        reason, message, done = FinishReason.COMPLETED, "", 0
        for index in range(config.iterations):
            if stop():
                reason = FinishReason.STOPPED
                break
            loss = self._step(self._sampler.draw(), index, seed=int(self._rng.integers(2**62)))
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


class _Step:
    """One optimiser step, with its learning-rate schedule."""

    def __init__(
        self, network: nn.Module, average: nn.Module, objective: Objective, config: TrainingConfig
    ) -> None:
        self._network = network
        self._average = average
        self._objective = objective
        self._config = config
        self._device = next(network.parameters()).device
        self._optimiser = torch.optim.AdamW(
            network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )

    def __call__(self, batch: Batch, index: int, seed: int) -> float:
        """Take the step and return the loss; a non-finite loss or gradient changes nothing."""
        for group in self._optimiser.param_groups:
            group["lr"] = learning_rate(index, self._config)
        step = Step(
            self._network,
            self._average,
            batch.to(self._device),
            index / self._config.iterations,
            self._config.mixed_precision,
        )
        with seeded(seed, self._device):
            loss = self._objective(step)
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


def learning_rate(index: int, config: TrainingConfig) -> float:
    """Return the learning rate of step `index`: linear warm-up, then polynomial decay."""
    warm = min(1.0, (index + 1) / max(1, min(config.warmup, config.iterations // 4)))
    return float(config.learning_rate * warm * (1 - index / config.iterations) ** 0.9)


@torch.no_grad()
def _follow(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the averaged weights towards the network's; young averages move faster."""
    theirs: list[Tensor] = list(network.parameters())
    ours: list[Tensor] = list(average.parameters())
    torch._foreach_mul_(ours, decay)
    torch._foreach_add_(ours, theirs, alpha=1 - decay)
