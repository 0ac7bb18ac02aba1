"""What a malformed file is, and what must come of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.faults.grids import Affine, Array

Truth = tuple[Array, Affine | None]
# The place of a truth that only vouches for its voxels.
ANYWHERE = np.full((4, 4), np.nan)
Family = Callable[[np.random.Generator, Path], "Subject"]


@dataclass(frozen=True)
class Subject:
    """A file or folder to open, and what is known of it.

    Attributes
    ----------
    path
        What is opened.
    words
        What was done to it.
    must
        ``"refuse"``, ``"accept"``, or ``"either"`` where the damage may be harmless.
    truths
        Readings without the code under test, tried only when the file is accepted: one of them
        must agree. An affine of None stands for a place that nobody knows, which must be said.
    rule
        A word that a refusal must hold, where the fault is known exactly.
    """

    path: Path
    words: str
    must: str = "either"
    truths: tuple[Callable[[], Truth], ...] = field(default=(), repr=False)
    rule: str = ""
