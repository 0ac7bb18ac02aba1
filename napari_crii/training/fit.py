"""The training loop, as a generator of frozen events."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from napari_crii.device import grad_scaler, is_out_of_memory, release_memory, yield_now
from napari_crii.networks import CRIINet, seeded
from napari_crii.training.config import TrainingConfig
from napari_crii.training.data import TrainingSlice
from napari_crii.training.events import Event, Finished, FinishReason, Remarked, Stepped
from napari_crii.training.guard import Guard, norm
from napari_crii.training.ladder import LastGood, Rung
from napari_crii.training.objectives import CoarseRefined, Objective, Step
from napari_crii.training.streams import Batch, StreamSampler, require_slices
from napari_crii.training.yielding import yielding

_LONGEST_GRADIENT = 5.0
# Where nothing is scaled the scale is 1.
_SMALLEST_SCALE = 1.0


def fit(
    network: CRIINet,
    data: Sequence[TrainingSlice],
    config: TrainingConfig,
    rng: np.random.Generator,
    stop: Callable[[], bool] = lambda: False,
    wanted: Callable[[], bool] = lambda: False,
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
        The only source of randomness: the same one gives the same weights on one device and, on
        the CPU, with the same number of threads.
    stop
        Asked before each step; when it returns True the run ends with what was learnt.
    wanted
        Asked before each step and after each layer; while it returns True the run waits, within a
        step as `yielding` does.

    Yields
    ------
    Event
        `Stepped` after each step, `Finished` last. Where memory runs out, the step is taken again
        with fewer or smaller crops, and `Remarked` says so. A loss or weights that are not finite
        or explode, and memory that is too small for any crop, end the run with reason ``failed``
        and the weights that the network came with.

    Raises
    ------
    TrainingError
        If nothing is annotated, slices and network differ in channels, or a weighted label is
        not a class.
    """
    yield from learner_of(network, data, config, rng).run(stop, wanted)


def learner_of(
    network: CRIINet,
    data: Sequence[TrainingSlice],
    config: TrainingConfig,
    rng: np.random.Generator,
) -> Learner:
    """Return what `fit` runs, with the same errors."""
    require_slices(data, network.config.in_channels, network.config.classes)
    objective = CoarseRefined(config.method, network.config.classes, config.mirror_axes)
    return Learner(network, objective, StreamSampler(data, config, rng), config, rng)


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
        self._rung = Rung(config.batch, config.crop)
        self._good = LastGood([*network.parameters(), *self.average.parameters()])

    def run(
        self,
        stop: Callable[[], bool] = lambda: False,
        wanted: Callable[[], bool] = lambda: False,
    ) -> Iterator[Event]:
        """Take every step; yields and ends as `fit` does."""
        before = copy.deepcopy(self.network.state_dict())
        self._good.keep()
        guard = Guard(self.network.parameters())
        self.network.train()
        fault, done = "", 0
        with yielding((self.network, self.average), wanted, self._step.device):
            while done < self._config.iterations:
                yield_now(wanted, self._step.device)
                if stop():
                    break
                loss = self._taken(done)
                if loss is None:
                    if (fault := self._step_down()) != "":
                        break
                    yield Remarked(f"Memory ran out; learning goes on with {self._rung.words}.")
                    continue
                if (fault := guard.fault(done + 1, loss)) != "":
                    break
                done += 1
                self._keep(done)
                yield Stepped(done, self._config.iterations, loss)
        yield self._ended(before, done, fault)

    def _taken(self, index: int) -> float | None:
        """Take a step and return its loss; None if memory ran out, the weights as before it."""
        try:
            batch = self._sampler.draw()
            return self._step(batch, index, int(self._rng.integers(2**62)))
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        # Only past the clause above can what the step had computed be let go, and where the error
        # came out of a thread only by the collector of cycles, which `give_up` calls.
        self._step.give_up()
        self._good.restore()
        return None

    def _step_down(self) -> str:
        """Take less at once from here on; return in words why that is no longer possible."""
        below = self._rung.below()
        if below is None:
            return f"memory ran out even with {self._rung.words}: close other programs, try again"
        self._rung = below
        self._sampler.shrink(below)
        return ""

    def _keep(self, done: int) -> None:
        """Let the average follow a good step, and remember both."""
        _follow(self.average, self.network, min(self._config.ema_decay, done / (9 + done)))
        self._good.keep()

    def _ended(self, before: Mapping[str, Tensor], done: int, fault: str) -> Finished:
        """Leave the network with the average, or as it came if there was a fault."""
        network, average = self.network, self.average
        if not fault and not np.isfinite(norm(list(average.parameters()))):
            fault = "the weights are no longer finite numbers"
        network.load_state_dict(before if fault else average.state_dict())
        network.eval()
        if fault:
            return Finished(FinishReason.FAILED, done, fault)
        whole = done == self._config.iterations
        return Finished(FinishReason.COMPLETED if whole else FinishReason.STOPPED, done)


class _Step:
    """One optimiser step, with its learning-rate schedule."""

    def __init__(
        self, network: nn.Module, average: nn.Module, objective: Objective, config: TrainingConfig
    ) -> None:
        self._network = network
        self._average = average
        self._objective = objective
        self._config = config
        self.device = next(network.parameters()).device
        self._scaler = grad_scaler(self.device, config.mixed_precision)
        self._updating = False
        self._optimiser = torch.optim.AdamW(
            network.parameters(),
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
            fused=True,
        )

    def __call__(self, batch: Batch, index: int, seed: int) -> float:
        """Take the step and return the loss; a non-finite loss or gradient changes nothing."""
        for group in self._optimiser.param_groups:
            group["lr"] = learning_rate(index, self._config)
        step = Step(
            self._network,
            self._average,
            batch.to(self.device),
            index / self._config.iterations,
            self._config.mixed_precision,
        )
        with seeded(seed, self.device):
            loss = self._objective(step)
        value = float(loss.detach())
        if not np.isfinite(value):
            return value
        self._optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(self._scaler.scale(loss))
        self._scaler.unscale_(self._optimiser)
        norm = float(torch.nn.utils.clip_grad_norm_(self._network.parameters(), _LONGEST_GRADIENT))
        # A gradient beyond float16 is no fault: the scaler leaves the step out and scales less.
        if not np.isfinite(norm) and self._scaler.get_scale() <= _SMALLEST_SCALE:
            return norm
        self._updating = True
        self._scaler.step(self._optimiser)
        self._scaler.update()
        self._updating = False
        return value

    def give_up(self) -> None:
        """Let go of what a step that was cut short has left."""
        self._optimiser.zero_grad(set_to_none=True)
        if self._updating:
            # Some moments know of this step and some do not.
            self._optimiser.state.clear()
            self._updating = False
        # It counts a step that was cut short as begun; its scale is what it has learnt.
        scale = self._scaler.get_scale()
        self._scaler = grad_scaler(self.device, self._config.mixed_precision, scale)
        release_memory(self.device)


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
