"""What the network can rely on where it learns: 16 bits, stepping down, yielding; with figures."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from napari_crii.checkpoint import load_checkpoint
from napari_crii.demo import shipped_checkpoint
from napari_crii.device import autocast, choose_device, half_type, memory_mb
from napari_crii.errors import CriiError, TrainingError
from napari_crii.inference import Predictor
from napari_crii.io.atomic import in_words
from napari_crii.networks import CRIINet, NetworkConfig, seeded
from napari_crii.phantom import make_phantom
from napari_crii.preprocessing import Preprocessing
from napari_crii.training import Finished, FinishReason, Remarked, Stepped, TrainingConfig
from napari_crii.training.data import TrainingSlice, from_volume
from napari_crii.training.fit import Learner, learner_of
from napari_crii.training.objectives import both_branches

Finding = tuple[str, bool, str]

_SHAPE = (8, 96, 112)
_SAME_LABELS = 0.99
_SAME_DIRECTION = 0.95
_PROPOSALS = 5
_FITS_IN_MEMORY = 2
_CONFIG = TrainingConfig(iterations=3, batch=8, crop=64)


def run_selftest(wanted: str = "") -> Iterator[Finding]:
    """Test on a device, which may be asked for by name; yield name, verdict and figures of each.

    Raises
    ------
    DeviceError
        If the device is not there.
    """
    device = choose_device(wanted)
    for name, test in (
        ("16 bits", _half_agrees),
        ("memory", _ladder_steps_down),
        ("yielding", _training_yields),
    ):
        try:
            ok, text = test(device)
        # What a device refuses comes as any RuntimeError; the other tests still say something.
        except (CriiError, MemoryError, RuntimeError) as error:
            ok, text = False, f"it failed: {in_words(error)}"
        yield name, ok, f"{text} ({device})"


def _half_agrees(device: torch.device) -> tuple[bool, str]:
    """Compare labels and the gradient of one batch in 16 and 32 bits."""
    kind = half_type(device)
    if kind is None:
        return True, "this device computes in 32 bits only"
    network, item = _network(device), _slices()[4]
    found = [_passed(network, item, device, half) for half in (False, True)]
    (plain, ours), (half, theirs) = found
    same = float((plain == half).float().mean())
    cosine = float(torch.nn.functional.cosine_similarity(ours, theirs, dim=0))
    words = f"{str(kind).removeprefix('torch.')}: {same:.2%} of labels as in float32, "
    words += f"gradients at a cosine of {cosine:.4f}"
    return same >= _SAME_LABELS and cosine >= _SAME_DIRECTION, words


def _passed(
    network: CRIINet, item: TrainingSlice, device: torch.device, half: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the labels (H, W) of a slice, and the gradient of its loss as one vector."""
    network.zero_grad(set_to_none=True)
    with autocast(device, half):
        logits = network(item.image[None].to(device))
    logits = type(logits)(*(branch.float() for branch in logits))
    loss = both_branches(logits, item.label[None].to(device), item.weight[None].to(device))
    torch.autograd.backward(loss)
    parts = [p.grad.flatten() for p in network.parameters() if p.grad is not None]
    return logits.refined.argmax(dim=1)[0], torch.cat(parts)


def _ladder_steps_down(device: torch.device) -> tuple[bool, str]:
    """Let memory run out for more than two crops: the run must end well, and say so on the way."""
    learner = _learner(device, _CONFIG)
    network: Any = learner.network
    whole = network.forward_with_features

    def too_small(images: torch.Tensor) -> Any:
        if len(images) > _FITS_IN_MEMORY:
            raise torch.OutOfMemoryError("out of memory, for a test")
        return whole(images)

    network.forward_with_features = too_small
    events = list(learner.run())
    remarks = [event.text for event in events if isinstance(event, Remarked)]
    steps = sum(isinstance(event, Stepped) for event in events)
    end = events[-1]
    ok = isinstance(end, Finished) and end.reason is FinishReason.COMPLETED and bool(remarks)
    words = f"{len(remarks)} steps down, then {steps} of {_CONFIG.iterations} steps done; "
    return ok, f"{words}{memory_mb(device):.0f} MB in use"


def _training_yields(device: torch.device) -> tuple[bool, str]:
    """Time proposals alone, beside training, and beside training that yields to them."""
    volume, _ = make_phantom(_SHAPE)
    predictor = Predictor(load_checkpoint(shipped_checkpoint()), str(device))
    predictor.predict_slice(volume, 0)

    def propose() -> float:
        started = time.perf_counter()
        predictor.predict_slice(volume, 4)
        return time.perf_counter() - started

    alone = min(propose() for _ in range(_PROPOSALS))
    beside, _ = _beside_training(device, propose, yields=False)
    yielding, steps = _beside_training(device, propose, yields=True)
    words = f"a slice in {alone:.3f} s alone, {beside:.3f} s beside training, "
    words += f"{yielding:.3f} s while it yields, with {steps} steps taken meanwhile"
    return steps == 0, words


def _beside_training(
    device: torch.device, propose: Callable[[], float], yields: bool
) -> tuple[float, int]:
    """Return the shortest time of a proposal while a run goes on, and its steps meanwhile.

    Raises
    ------
    TrainingError
        If the run ends by itself; what it raises is raised here.
    """
    run = _Run()
    with ThreadPoolExecutor(max_workers=1) as pool:
        learning = pool.submit(run.learn, device)
        try:
            run.started.wait()
            if yields:
                run.wanted.set()
                run.waiting.wait()
            before = run.steps
            seconds = min(propose() for _ in range(_PROPOSALS))
            steps = run.steps - before
        finally:
            run.wanted.clear()
            run.ended.set()
    learning.result()
    return seconds, steps


class _Run:
    """Training that goes on until `ended` is set, and waits while `wanted` is.

    Attributes
    ----------
    started, waiting
        Set once a step has been taken, and once it has waited; both when the run is over.
    steps
        Taken so far.
    """

    def __init__(self) -> None:
        self.started, self.wanted, self.waiting, self.ended = (threading.Event() for _ in range(4))
        self.steps = 0

    def learn(self, device: torch.device) -> None:
        """Take steps; raise `TrainingError` if the run ends by itself."""
        config = replace(_CONFIG, iterations=100_000)
        try:
            for event in _learner(device, config).run(self.ended.is_set, self._asked):
                match event:
                    case Stepped():
                        self.steps += 1
                        self.started.set()
                    case Finished(reason=FinishReason.FAILED, message=message):
                        raise TrainingError(message)
        finally:
            # A run that is broken keeps nobody waiting.
            self.started.set()
            self.waiting.set()

    def _asked(self) -> bool:
        if self.wanted.is_set():
            self.waiting.set()
        return self.wanted.is_set()


def _network(device: torch.device) -> CRIINet:
    with seeded(0):
        network = CRIINet(NetworkConfig(classes=3))
        torch.nn.init.normal_(network.refined_head.weight, std=0.1)
    return network.to(device).eval()


def _learner(device: torch.device, config: TrainingConfig) -> Learner:
    return learner_of(_network(device), _slices(), config, np.random.default_rng(0))


def _slices() -> list[TrainingSlice]:
    volume, mask = make_phantom(_SHAPE)
    return from_volume(volume, mask, Preprocessing(), 3)
