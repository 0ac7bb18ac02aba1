"""The trainer: a child process of lowest priority that learns and publishes a checkpoint.

Started as ``python -m napari_crii.engine.trainer``; speaks :mod:`napari_crii.engine.messages`.
It lives for one run.
"""

from __future__ import annotations

import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import torch

from napari_crii.checkpoint import Checkpoint, load_checkpoint
from napari_crii.device import (
    choose_device,
    is_out_of_memory,
    memory_mb,
    release_memory,
    training_threads,
)
from napari_crii.engine.channel import Channel
from napari_crii.engine.messages import (
    Failed,
    Learn,
    LearningChecked,
    LearningFinished,
    LearningStepped,
    Message,
    Notice,
    PauseLearning,
    Ready,
)
from napari_crii.engine.priority import Yielding, yield_to
from napari_crii.errors import CriiError
from napari_crii.networks.parts import begin_threads
from napari_crii.snapshot import load_snapshot
from napari_crii.training import Checked, Event, FinishReason, Remarked, Stepped
from napari_crii.training.tick import BEGAN_ON_PROCESSOR, NO_MEMORY, TickResult, publish, run_tick
from napari_crii.training.tick_config import TickConfig, first_network, usual_config

_STOPPED = LearningFinished(FinishReason.STOPPED, "", "")


def main() -> None:
    """Learn once, as the first message asks, until done or until the window stops or goes."""
    yield_to(Yielding.EVERYBODY)
    torch.set_num_threads(training_threads())
    begin_threads(TickConfig.batch)
    channel = Channel()
    channel.beat()
    try:
        device = choose_device()
        channel.send(Ready(str(device)))
        request = channel.receive(wait=True)
        if isinstance(request, Learn):
            for message in learn_where_it_works(Wishes(channel), request, device):
                channel.send(message)
    except (CriiError, OSError, ValueError, MemoryError, RuntimeError) as error:
        channel.send(_said(error))


def _said(error: Exception) -> Message:
    """Return in words what a user can cause; anything else is a defect and ends us."""
    if is_out_of_memory(error):
        return LearningFinished(FinishReason.FAILED, "", NO_MEMORY)
    if isinstance(error, CriiError | OSError | ValueError):
        return Failed(str(error))
    raise error


class Source(Protocol):
    """Where messages come from, as from a `Channel`."""

    def receive(self, wait: bool) -> Message | None:
        """Return the next message; None when the window has gone."""


class Wishes:
    """What the window wishes while we learn."""

    def __init__(self, channel: Source) -> None:
        self._channel = channel
        self._paused = False
        self._stopped = False

    def paused(self) -> bool:
        """Whether to wait."""
        self._hear()
        return self._paused and not self._stopped

    def stopped(self) -> bool:
        """Whether to end."""
        self._hear()
        return self._stopped

    def _hear(self) -> None:
        """Any message but a pause, and the end of the input, mean: stop."""
        while not self._stopped:
            try:
                message = self._channel.receive(wait=False)
            except queue.Empty:
                return
            if isinstance(message, PauseLearning):
                self._paused = message.paused
            else:
                self._stopped = True


def learn_where_it_works(wishes: Wishes, request: Learn, device: torch.device) -> Iterator[Message]:
    """Yield what the window is told of a run; a device that fails leaves it to the processor.

    Raises
    ------
    RuntimeError
        If the processor fails, too, or memory runs out.
    """
    try:
        yield from _learn(wishes, request, device)
    except RuntimeError as error:
        if device.type == "cpu" or is_out_of_memory(error):
            raise
        processor = torch.device("cpu")
        yield Notice(BEGAN_ON_PROCESSOR.format(device))
        yield Ready(str(processor))
        yield from _learn(wishes, request, processor)


def _learn(wishes: Wishes, request: Learn, device: torch.device) -> Iterator[Message]:
    """Yield what the window is told of a run, its end last."""
    checkpoint = _start(request)
    usual = usual_config(checkpoint)
    config = usual.with_overrides(request.iterations, request.learning_rate, request.preset)
    snapshot = load_snapshot(Path(request.snapshot))
    result: TickResult | None = None
    for event in run_tick(checkpoint, snapshot, config, wishes.stopped, wishes.paused, device):
        if isinstance(event, TickResult):
            result = event
        else:
            yield from _told(event, device)
    # What the run held is free from here on: publishing needs memory as well.
    del checkpoint, snapshot, event
    release_memory(device)
    # The wish to stop may come after the last step, while the result is judged.
    if result is None or wishes.stopped():
        yield _STOPPED
    else:
        yield _finished(result, Path(request.folder))


def _told(event: Event, device: torch.device) -> Iterator[Message]:
    match event:
        case Stepped(step, total, loss):
            yield LearningStepped(step, total, loss, memory_mb(device))
        case Checked(step, dice, slices):
            yield LearningChecked(step, dice, slices)
        case Remarked(text):
            yield Notice(text)


def _finished(result: TickResult, folder: Path) -> LearningFinished:
    """Publish the weights, if they may be, and return how the run ended."""
    new = result.checkpoint
    return LearningFinished(
        result.reason,
        "" if new is None else str(publish(new, folder)),
        result.message,
        result.before,
        result.after,
        result.check_slices,
    )


def _start(request: Learn) -> Checkpoint:
    """Return the weights to start from."""
    if request.checkpoint:
        return load_checkpoint(request.checkpoint)
    return first_network(request.classes, request.channels)


if __name__ == "__main__":
    main()
