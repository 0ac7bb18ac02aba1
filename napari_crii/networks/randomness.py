"""Reproducible chance for torch, without touching the generators of anyone else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


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
