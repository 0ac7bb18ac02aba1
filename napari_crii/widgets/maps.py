"""The maps that the layer of disagreement shows: what is expected, where, and what explains it."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from napari_crii.session.proposals import LOW_CONTRAST, NEAR_EDGE, ProposalStore


class MapKind(StrEnum):
    """Which map is shown."""

    EXPECTED = "errors expected"
    BOUNDARY = "errors expected, boundary"
    FAINT = "errors expected, low contrast"
    BRANCHES = "coarse and refined differ"

    @property
    def tip(self) -> str:
        """What the user reads of it."""
        return {
            MapKind.EXPECTED: "Bright where errors are expected: this ranks the patches",
            MapKind.BOUNDARY: "Where errors are expected within 3 pixels of the proposed edge",
            MapKind.FAINT: "Where errors are expected and the proposed edge hardly stands out",
            MapKind.BRANCHES: "Bright where the two outputs of the network differ: an explanation",
        }[self]

    @property
    def brightest(self) -> int:
        """The value shown brightest; branches that share an encoder never differ by all."""
        return 128 if self is MapKind.BRANCHES else 255


def map_of(kind: MapKind, proposals: ProposalStore, index: int) -> NDArray[np.uint8]:
    """Return the map of a slice, (H, W) uint8."""
    score: NDArray[np.uint8] = proposals.score[index]
    places = proposals.places(index)
    if kind is MapKind.BRANCHES:
        score = proposals.branches(index)
    elif kind is not MapKind.EXPECTED:
        bit = NEAR_EDGE if kind is MapKind.BOUNDARY else LOW_CONTRAST
        score = np.where(places & bit, score, np.uint8(0))
    return score
