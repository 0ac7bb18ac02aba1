"""What is proposed for a scan: mask, probabilities, map and patches, of one slice or of all.

A slice's doubt comes with its own rows and columns; a whole scan stands in the scan's axis order.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_crii.disagreement import DisagreementMap, disagreement, pairwise_doubt
from napari_crii.inference import Prediction, Predictor
from napari_crii.patches import Patch, order_patches
from napari_crii.ranking import rank_patches
from napari_crii.volume import Volume, to_slices

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class ScanPrediction:
    """What the network proposes for a scan.

    Attributes
    ----------
    mask
        (Z, Y, X) proposed classes.
    coarse, refined
        (K-1, Z, Y, X) float32: probability of each foreground class, in the order of their ids.
    disagreement
        (Z, Y, X) float32, 0 to 1: where errors are expected; see `DisagreementMap.score`.
    patches
        Places worth a look, in the order in which to look at them.
    seconds
        Time it took.
    checkpoint
        Digest of the weights, empty if they were never saved.
    slice_doubt
        Per slice along the scan's slice axis `pairwise_doubt`, 0 to 1; None where no view and no
        branch sees an object.
    """

    mask: NDArray[np.integer]
    coarse: NDArray[np.float32]
    refined: NDArray[np.float32]
    disagreement: NDArray[np.float32]
    patches: tuple[Patch, ...]
    seconds: float
    checkpoint: str
    slice_doubt: tuple[float | None, ...]

    @property
    def doubt(self) -> float | None:
        """Mean of `slice_doubt` over the slices on which something is seen; None: on none."""
        seen = [doubt for doubt in self.slice_doubt if doubt is not None]
        return sum(seen) / len(seen) if seen else None


def predict_scan(
    predictor: Predictor, volume: Volume, progress: Progress = lambda done, total: None
) -> ScanPrediction:
    """Propose every slice of a scan.

    Parameters
    ----------
    progress
        Told after each slice how many of how many are done.

    Raises
    ------
    CheckpointError
        If the checkpoint does not fit the scan's channels.
    """
    started = time.perf_counter()
    predictor.checkpoint.preprocessing.require(volume)
    result = _empty(volume, len(predictor.checkpoint.classes))
    patches: list[Patch] = []
    slice_doubt: list[float | None] = []
    for index, prediction in predictor.predict_volume(volume):
        slice_doubt.append(pairwise_doubt(prediction.coarse, prediction.refined))
        patches += _enter(result, index, prediction, volume, predictor.checkpoint.low_contrast)
        progress(index + 1, volume.slice_count)
    return ScanPrediction(
        mask=result.mask,
        coarse=result.coarse,
        refined=result.refined,
        disagreement=result.disagreement,
        patches=tuple(order_patches(patches)),
        seconds=time.perf_counter() - started,
        checkpoint=predictor.checkpoint.digest,
        slice_doubt=tuple(slice_doubt),
    )


def doubt_on_slice(
    prediction: Prediction,
    labels: NDArray[np.integer],
    volume: Volume,
    index: int,
    low_contrast: float,
) -> tuple[DisagreementMap, list[Patch]]:
    """Return the map of doubt about slice `index`, and its patches, worst first.

    Parameters
    ----------
    labels
        (H, W) classes that are proposed.
    low_contrast
        As for `rank_patches`.
    """
    doubt = disagreement(prediction.coarse, prediction.refined, prediction.coarse_stride)
    image = volume.slices()[index]
    return doubt, rank_patches(doubt.score, labels, image, index, low_contrast)


def _empty(volume: Volume, foreground: int) -> ScanPrediction:
    mask: NDArray[np.integer] = np.zeros(
        volume.shape, dtype=np.uint8 if foreground < 256 else np.uint16
    )
    several = (foreground, *volume.shape)
    return ScanPrediction(
        mask=mask,
        coarse=np.zeros(several, dtype=np.float32),
        refined=np.zeros(several, dtype=np.float32),
        disagreement=np.zeros(volume.shape, dtype=np.float32),
        patches=(),
        seconds=0.0,
        checkpoint="",
        slice_doubt=(),
    )


def _enter(
    result: ScanPrediction, index: int, prediction: Prediction, volume: Volume, low_contrast: float
) -> list[Patch]:
    """Enter one slice into the arrays, and return its patches."""
    labels = prediction.labels()
    doubt, patches = doubt_on_slice(prediction, labels, volume, index, low_contrast)
    axis = volume.slice_axis
    to_slices(result.mask, axis)[index] = labels
    to_slices(result.disagreement, axis)[index] = doubt.score
    for k in range(len(result.refined)):
        to_slices(result.coarse[k], axis)[index] = prediction.coarse_mean[k + 1]
        to_slices(result.refined[k], axis)[index] = prediction.refined_mean[k + 1]
    return patches
