"""The maps of a slice as the engine sends them and the window takes them: one array of bytes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_crii.edges import edge_distance
from napari_crii.ranking import BOUNDARY_BAND, low_contrast_tiles
from napari_crii.session.proposals import LOW_CONTRAST, NEAR_EDGE


class SliceMaps(NamedTuple):
    """Expected error, distance of the branches and kinds of place, each (H, W) uint8.

    They are the `score`, `branches` and `places` of `napari_crii.session.Proposal`.
    """

    score: NDArray[np.uint8]
    branches: NDArray[np.uint8]
    places: NDArray[np.uint8]

    @classmethod
    def of(
        cls,
        score: NDArray[np.float32],
        branches: NDArray[np.float32],
        labels: NDArray[np.integer],
        image: NDArray[np.generic],
        low_contrast: float,
    ) -> SliceMaps:
        """Return the maps of a slice.

        Parameters
        ----------
        score, branches
            (H, W), 0 to 1, as in `DisagreementMap`. The divergence of the branches is told as its
            square root, a distance: they rarely differ by much.
        labels, image, low_contrast
            As for `rank_patches`.
        """
        near = edge_distance(labels) <= BOUNDARY_BAND
        faint = low_contrast_tiles(score, labels, image, low_contrast)
        places = near * NEAR_EDGE + faint * LOW_CONTRAST
        return cls(_bytes(score), _bytes(np.sqrt(branches)), places.astype(np.uint8))


def _bytes(share: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return shares from 0 to 1 as 0 to 255."""
    whole: NDArray[np.uint8] = np.rint(share * 255).astype(np.uint8)
    return whole
