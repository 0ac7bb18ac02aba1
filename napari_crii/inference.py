"""From a checkpoint and a scan to both branches' probabilities, slice by slice."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from napari_crii.backend import Backend
from napari_crii.checkpoint import Checkpoint
from napari_crii.device import is_out_of_memory, release_memory
from napari_crii.disagreement import mean_over_views
from napari_crii.errors import DeviceError
from napari_crii.networks import BranchLogits
from napari_crii.networks.crii import COARSE_STRIDE
from napari_crii.networks.parts import pass_in_parts
from napari_crii.volume import Volume

_TILES = (256, 128, 64)
# A slice as it is, mirrored along each axis, and along both.
MOST_VIEWS = 4
# Pixels around a tile that are read and not kept; coarse outputs lie on multiples of 16.
_MARGIN = 32
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the network says about one slice, under each view.

    Attributes
    ----------
    coarse, refined
        Class probabilities of the two branches, (V, K, H, W) float32: V mirrored views, each
        mapped back onto the slice.
    coarse_stride
        Pixels of the slice between two outputs of the coarse branch.
    one_object
        Whether a class is one object on a slice; see `Preprocessing.one_object`.
    """

    coarse: NDArray[np.float32]
    refined: NDArray[np.float32]
    coarse_stride: int = COARSE_STRIDE
    one_object: bool = False

    @property
    def coarse_mean(self) -> NDArray[np.float32]:
        """Coarse probabilities averaged over views, (K, H, W)."""
        return mean_over_views(self.coarse)

    @property
    def refined_mean(self) -> NDArray[np.float32]:
        """Refined probabilities averaged over views, (K, H, W)."""
        return mean_over_views(self.refined)

    def labels(self) -> NDArray[np.uint8] | NDArray[np.uint16]:
        """Return the proposed mask (H, W): the refined branch's most probable class."""
        p = self.refined_mean
        best = np.asarray(p[1] > p[0] if len(p) == 2 else p.argmax(axis=0))
        labels = best.astype(np.uint8) if len(p) <= 256 else best.astype(np.uint16)
        return most_certain_pieces(labels, p) if self.one_object else labels


class Predictor:
    """A checkpoint made ready to predict.

    Parameters
    ----------
    checkpoint
        Weights and recipe.
    device
        Where to compute.
    views
        How many mirrored views to average, 1 to 4; the recipe's mirror axes may allow fewer.
    channels_last
        Whether the channels of a pixel lie side by side in memory.

    Attributes
    ----------
    remark
        One sentence once memory ran out and slices are computed in smaller parts, else ``""``.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        device: str = "cpu",
        views: int = MOST_VIEWS,
        channels_last: bool = True,
    ) -> None:
        if not 1 <= views <= MOST_VIEWS:
            raise ValueError(f"{views} views: there are 1 to {MOST_VIEWS}")
        self.checkpoint = checkpoint
        self.views = mirrored_views(checkpoint.preprocessing.mirror_axes)[:views]
        self._backend = Backend(device, channels_last)
        self._network = checkpoint.network
        self._backend.prepare(self._network)
        self.remark = ""
        self._whole = True
        self._tiles = list(_TILES)
        self._tile = 0

    def predict_slice(self, volume: Volume, index: int) -> Prediction:
        """Predict slice `index` of a scan.

        Raises
        ------
        CheckpointError
            If the checkpoint does not fit the scan's channels.
        DeviceError
            If memory runs out even for small tiles.
        ValueError
            If the scan has no such slice.
        """
        recipe = self.checkpoint.preprocessing
        recipe.require(volume)
        if not 0 <= index < volume.slice_count:
            raise ValueError(f"{volume.name} has {volume.slice_count} slices, none at {index}")
        while True:
            try:
                return self._predicted(torch.from_numpy(recipe.slice_input(volume, index)), volume)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
            self._step_down()

    def _predicted(self, image: Tensor, volume: Volume) -> Prediction:
        shape = volume.slices().shape[1:3]
        with torch.inference_mode():
            logits = self._logits(self.view_batch(image.to(self._backend.device)))
            coarse, refined = (self._probabilities(branch, shape) for branch in logits)
        stride = max(1, round(COARSE_STRIDE * shape[0] / image.shape[1]))
        return Prediction(coarse, refined, stride, self.checkpoint.preprocessing.one_object)

    def _logits(self, batch: Tensor) -> BranchLogits:
        if self._whole:
            return BranchLogits(*pass_in_parts(self._network, batch))
        return _joined([in_tiles(self._network, view[None], self._tile) for view in batch], 0)

    def _step_down(self) -> None:
        """Compute in smaller parts from here on: one view at a time, then tiles of it."""
        release_memory(torch.device(self._backend.device))
        if self._whole:
            self._whole, parts = False, "one view at a time"
        elif self._tiles:
            self._tile = self._tiles.pop(0)
            parts = f"in tiles of {self._tile} pixels"
        else:
            raise DeviceError(
                f"memory ran out even for tiles of {self._tile} pixels: close other programs, "
                "then propose again"
            )
        self.remark = f"Memory ran out; proposals are computed {parts} from here on."
        _log.warning(self.remark)

    def predict_volume(
        self, volume: Volume, order: Iterable[int] | None = None
    ) -> Iterator[tuple[int, Prediction]]:
        """Predict slices one after the other, in `order` (default: from first to last)."""
        for index in range(volume.slice_count) if order is None else order:
            yield index, self.predict_slice(volume, index)

    def view_batch(self, image: Tensor) -> Tensor:
        """Return the views of an input (C, H, W) as a batch (V, C, H, W)."""
        batch = torch.stack([mirror(image, view) for view in self.views])
        return batch.contiguous(memory_format=self._backend.layout)

    def _probabilities(self, logits: Tensor, shape: Sequence[int]) -> NDArray[np.float32]:
        """Return probabilities (V, K, *shape): every view mirrored back, on the slice's grid."""
        p = logits.softmax(dim=1)
        back = torch.stack([mirror(p[i], view) for i, view in enumerate(self.views)])
        if back.shape[-2:] != tuple(shape):
            back = functional.interpolate(back, tuple(shape), mode="bilinear", align_corners=False)
        return np.asarray(back.cpu().numpy(), dtype=np.float32)


def in_tiles(network: Callable[[Tensor], BranchLogits], image: Tensor, side: int) -> BranchLogits:
    """Return the logits of an image (1, C, H, W), computed in square tiles; 0: in one piece.

    Normalisation sees one tile at a time, so that results differ a little from those in one piece.
    """
    height, width = image.shape[-2:]
    if not side or max(height, width) <= side:
        return network(image)
    rows = [
        _joined([_tile(network, image, top, left, side) for left in range(0, width, side)], -1)
        for top in range(0, height, side)
    ]
    return _joined(rows, -2)


def _tile(
    network: Callable[[Tensor], BranchLogits], image: Tensor, top: int, left: int, side: int
) -> BranchLogits:
    """Return the logits of one tile, which the network sees with a margin around it."""
    row, column = max(0, top - _MARGIN), max(0, left - _MARGIN)
    seen = image[..., row : top + side + _MARGIN, column : left + side + _MARGIN]
    rows = slice(top - row, top - row + side)
    columns = slice(left - column, left - column + side)
    return BranchLogits(*(branch[..., rows, columns] for branch in network(seen)))


def _joined(parts: Sequence[BranchLogits], axis: int) -> BranchLogits:
    return BranchLogits(*(torch.cat(branch, dim=axis) for branch in zip(*parts, strict=True)))


def most_certain_pieces(
    labels: NDArray[np.uint8] | NDArray[np.uint16], p: NDArray[np.float32]
) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Keep of each class the connected piece that holds its most probable pixel.

    Parameters
    ----------
    labels
        (H, W) classes.
    p
        (K, H, W) probabilities.
    """
    kept = labels.copy()
    for index in np.unique(labels[labels > 0]):
        pieces, count = ndimage.label(labels == index)
        if count > 1:
            peak = np.where(pieces > 0, p[index], -1).argmax()
            kept[(pieces > 0) & (pieces != pieces.flat[peak])] = 0
    return kept


def mirrored_views(axes: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """Return the ways to mirror a slice along `axes`: none first, then one axis, then both."""
    singles = [(axis,) for axis in axes]
    return ((), *singles, *([tuple(axes)] if len(axes) == 2 else []))


def mirror(image: Tensor, view: tuple[int, ...]) -> Tensor:
    """Mirror (..., H, W) along in-plane axes 0 (rows) and 1 (columns)."""
    return image.flip([axis - 2 for axis in view]) if view else image
