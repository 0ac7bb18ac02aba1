"""Reproducible chance for torch, without touching the generators of anyone else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_own = threading.local()


@contextmanager
def seeded(seed: int, device: torch.device | str = "cpu") -> Iterator[None]:
    """Seed what a block draws on `device` (dropout, initial weights); restore it afterwards."""
    place = torch.device(device)
    # Naming the device keeps fork_rng from saving, and warning about, every GPU of the machine.
    with torch.random.fork_rng(devices=[place] if place.type == "cuda" else []):
        if place.type == "cpu":
            torch.default_generator.manual_seed(seed)
        else:
            torch.manual_seed(seed)
        yield


@contextmanager
def drawing_from(generator: torch.Generator) -> Iterator[None]:
    """Let dropout on the CPU draw from a generator, in this thread, for a block."""
    _own.generator = generator
    try:
        yield
    finally:
        del _own.generator


def own_generator() -> torch.Generator | None:
    """Return the generator of `drawing_from` in this thread; None stands for torch's own."""
    return getattr(_own, "generator", None)
