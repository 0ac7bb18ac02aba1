"""Small cases in memory for the tests of the session."""

from __future__ import annotations

import numpy as np

from napari_crii.patches import Box, Patch, Reason
from napari_crii.session import Case, Proposal
from tests.factories import noise_scan

SHAPE = (3, 7, 10)
CLASSES = 3


def make_case(slice_axis: int = 0) -> Case:
    return Case(noise_scan(slice_axis, SHAPE), CLASSES, reader="r")


def proposal(index: int, seed: int) -> Proposal:
    rng = np.random.default_rng(seed)
    return Proposal(
        index,
        rng.integers(0, CLASSES, SHAPE[1:]).astype(np.uint8),
        rng.integers(0, 256, SHAPE[1:]).astype(np.uint8),
        (Patch(index, Box(0, 0, 4, 5), 0.5, Reason.REGION),),
        f"weights {seed}",
    )


def patch(index: int, top: int = 1, left: int = 2) -> Patch:
    return Patch(index, Box(top, left, top + 4, left + 5), 0.5, Reason.BOUNDARY)
