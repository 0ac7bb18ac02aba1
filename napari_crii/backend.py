"""On what a network proposes fastest here, found by trying: device and memory layout."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from napari_crii.device import available_devices, placed
from napari_crii.networks import BranchLogits

_RUNS = 3
# Probability by which the best class leads: below, rounding may decide, and either is right.
_UNDECIDED = 1e-3


@dataclass(frozen=True)
class Backend:
    """Where the network runs and how its images lie in memory.

    Attributes
    ----------
    device
        As torch names it.
    channels_last
        Whether the channels of a pixel lie side by side.
    """

    device: str = "cpu"
    channels_last: bool = True

    def __str__(self) -> str:
        return f"{self.device}, {'channels last' if self.channels_last else 'contiguous'}"

    @property
    def layout(self) -> torch.memory_format:
        """The memory format of images (B, C, H, W)."""
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def prepare(self, network: nn.Module) -> None:
        """Move a network here, in place."""
        placed(network, self.device, self.channels_last)


REFERENCE = Backend("cpu", channels_last=False)


def candidates() -> list[Backend]:
    """Return what may be tried here; errors as of `choose_device`."""
    layouts = {"mps": (False,)}
    return [
        Backend(str(device), last)
        for device in available_devices()
        for last in layouts.get(device.type, (True, False))
    ]


def fastest(
    network: nn.Module,
    image: Tensor,
    among: Sequence[Backend] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Backend:
    """Return on what a network is fastest and finds the same classes as the plain processor.

    Parameters
    ----------
    network
        Maps images (B, C, H, W) to `BranchLogits`; it is left as it is.
    image
        What it is tried on, (B, C, H, W) float32.
    among
        What is tried; `candidates` by default.
    clock
        Returns seconds.
    """
    expected, _ = _tried(network, image, REFERENCE, clock, runs=1)
    best, shortest = REFERENCE, float("inf")
    for backend in candidates() if among is None else among:
        try:
            found, seconds = _tried(network, image, backend, clock)
        # Not enough memory, or an operation that the device does not know.
        except RuntimeError:
            continue
        if seconds < shortest and _same_classes(expected, found):
            best, shortest = backend, seconds
    return best


def _tried(
    network: nn.Module,
    image: Tensor,
    backend: Backend,
    clock: Callable[[], float],
    runs: int = _RUNS,
) -> tuple[Tensor, float]:
    """Return refined probabilities (B, K, H, W), and seconds of the shortest run but the first."""
    moved = copy.deepcopy(network)
    backend.prepare(moved)
    batch = image.to(backend.device).contiguous(memory_format=backend.layout)
    seconds = []
    with torch.inference_mode():
        for _ in range(runs + 1):
            started = clock()
            logits: BranchLogits = moved(batch)
            # Fetching the result waits for a device that computes by itself.
            refined = logits.refined.cpu()
            seconds.append(clock() - started)
    return refined.softmax(dim=1), min(seconds[1:])


def _same_classes(expected: Tensor, found: Tensor) -> bool:
    first, second = expected.topk(2, dim=1).values.unbind(dim=1)
    decided = first - second > _UNDECIDED
    return bool((expected.argmax(dim=1) == found.argmax(dim=1))[decided].all())
