"""Damage that any file can suffer: its end lost, or single bytes of it changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np


def cut(rng: np.random.Generator, path: Path) -> str:
    """Cut a file anywhere, even in front of its first byte; say where."""
    content = path.read_bytes()
    length = int(rng.integers(0, len(content)))
    path.write_bytes(content[:length])
    return f"cut at {length} of {len(content)}"


def flip(
    rng: np.random.Generator,
    path: Path,
    most: int,
    span: Callable[[int], tuple[int, int]] = lambda size: (0, size),
) -> str:
    """Change up to `most` single bytes; say which.

    `span` tells, for the size of the file in bytes, between which offsets they lie.
    """
    content = np.frombuffer(path.read_bytes(), np.uint8).copy()
    places = rng.integers(*span(len(content)), rng.integers(1, most + 1))
    content[places] ^= rng.integers(1, 256, len(places)).astype(np.uint8)
    path.write_bytes(content.tobytes())
    return f"bytes {sorted(places.tolist())}"
