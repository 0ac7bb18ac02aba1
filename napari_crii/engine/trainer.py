"""The trainer: a child process of lowest priority that learns and publishes a checkpoint.

Started as ``python -m napari_crii.engine.trainer``; speaks :mod:`napari_crii.engine.messages`.
It lives for one run.
"""

from __future__ import annotations

import queue
from pathlib import Path

from napari_crii.checkpoint import Checkpoint, load_checkpoint, new_checkpoint
from napari_crii.classes import numbered_classes
from napari_crii.engine.channel import Channel
from napari_crii.engine.messages import (
    Failed,
    Learn,
    LearningFinished,
    LearningStepped,
    Ready,
)
from napari_crii.engine.priority import Yielding, yield_to
from napari_crii.errors import CriiError
from napari_crii.preprocessing import Preprocessing
from napari_crii.snapshot import load_snapshot
from napari_crii.training import Stepped
from napari_crii.training.tick import FIRST_RUN, TickConfig, TickResult, publish, run_tick


def main() -> None:
    """Learn once, as the first message asks, until done or until the window stops or goes."""
    yield_to(Yielding.EVERYBODY)
    channel = Channel()
    channel.send(Ready("cpu"))
    request = channel.receive(wait=True)
    if not isinstance(request, Learn):
        return
    try:
        channel.send(_learn(channel, request))
    except (CriiError, OSError, ValueError) as error:
        channel.send(Failed(str(error)))


def _learn(channel: Channel, request: Learn) -> LearningFinished:
    usual = TickConfig() if request.checkpoint else FIRST_RUN
    config = usual.with_overrides(request.iterations, request.learning_rate)
    checkpoint = _start(request)
    snapshot = load_snapshot(Path(request.snapshot))
    result: TickResult | None = None
    for event in run_tick(checkpoint, snapshot, config, stop=lambda: _interrupted(channel)):
        if isinstance(event, Stepped):
            channel.send(LearningStepped(event.step, event.total, event.loss))
        elif isinstance(event, TickResult):
            result = event
    if result is None or result.checkpoint is None:
        reason = "stopped" if result is None else result.reason
        return LearningFinished(reason, "", "" if result is None else result.message)
    # The wish to stop may come after the last step, while the result is judged.
    if _interrupted(channel):
        return LearningFinished("stopped", "", "")
    path = publish(result.checkpoint, Path(request.folder))
    return LearningFinished(result.reason, str(path), result.message)


def _start(request: Learn) -> Checkpoint:
    """Return the weights to start from."""
    if request.checkpoint:
        return load_checkpoint(request.checkpoint)
    classes = numbered_classes(list(request.classes))
    return new_checkpoint(classes, Preprocessing(request.channels, scope="volume"))


def _interrupted(channel: Channel) -> bool:
    """Any message while learning, and the end of the input, mean: stop."""
    try:
        channel.receive(wait=False)
    except queue.Empty:
        return False
    return True


if __name__ == "__main__":
    main()
