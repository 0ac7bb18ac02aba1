"""From a scan's slice to the network's input: one recipe for training, validation and use.

The recipe travels inside the checkpoint. It takes and returns numpy arrays, slice by slice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from napari_crii.errors import CheckpointError
from napari_crii.volume import IntensityStats, Volume, neighbourhood

# Share of a neighbourhood's pixels that one grey value may count for.
_CLIP = 0.02


@dataclass(frozen=True)
class Preprocessing:
    """How a slice becomes an input.

    Attributes
    ----------
    channels
        1 for grey values, 3 for RGB.
    neighbours
        Slices taken on either side as further channels; the outermost slice repeats.
    scope
        Whether intensities are clipped and standardised per ``"slice"`` or per ``"volume"``.
    mirror_axes
        In-plane axes (0 rows, 1 columns) along which a slice may be mirrored, in training and
        for views; left and right classes leave theirs out.
    pixel_mm
        Side of a pixel as the network sees it; slices are resampled to it. None: as stored.
    assumed_mm
        Pixel size taken for images that carry none; None leaves those as stored.
    contrast
        ``"stored"`` keeps grey values but for their scale; ``"adaptive"`` equalises the histogram
        of every neighbourhood (CLAHE, Zuiderveld, Graphics Gems IV, 1994), so that bright fat
        near a coil and the make of the scanner matter less.
    one_object
        Whether a class is one object on a slice: of several pieces only the one that holds the
        most certain pixel is proposed.
    """

    channels: int = 1
    neighbours: int = 0
    scope: Literal["slice", "volume"] = "slice"
    mirror_axes: tuple[int, ...] = (0, 1)
    pixel_mm: float | None = None
    assumed_mm: float | None = None
    contrast: Literal["stored", "adaptive"] = "stored"
    one_object: bool = False

    def __post_init__(self) -> None:
        """Refuse recipes that cannot be followed."""
        sound = self.channels in (1, 3) and self.neighbours >= 0
        sound = sound and self.contrast in ("stored", "adaptive")
        if not sound or self.scope not in ("slice", "volume"):
            raise CheckpointError(f"the preprocessing recipe {self} cannot be followed")
        if sorted(set(self.mirror_axes) & {0, 1}) != sorted(self.mirror_axes):
            raise CheckpointError(f"mirror axes {self.mirror_axes} are not in-plane axes 0 and 1")
        if any(mm is not None and not 0.01 <= mm <= 100 for mm in (self.pixel_mm, self.assumed_mm)):
            raise CheckpointError(f"pixel sizes {self.pixel_mm} and {self.assumed_mm} mm are wrong")

    @property
    def in_channels(self) -> int:
        """Number of channels that the network sees."""
        return self.channels * (2 * self.neighbours + 1)

    def require(self, volume: Volume) -> None:
        """Raise `CheckpointError` for a scan in colour where the recipe expects grey values."""
        if volume.channels > self.channels:
            raise CheckpointError(
                f"the checkpoint expects grey values, but {volume.name} has colours (RGB)"
            )

    def slice_input(self, volume: Volume, index: int) -> NDArray[np.float32]:
        """Return the input (C, h, w) for slice `index` of a scan."""
        stack = neighbourhood(volume, index, self.neighbours)
        stats = volume.intensity if self.scope == "volume" else None
        return self.prepare(stack, stats, volume.pixel_spacing)

    def prepare(
        self,
        stack: NDArray[np.generic],
        stats: IntensityStats | None,
        pixel_spacing: tuple[float, float] | None,
    ) -> NDArray[np.float32]:
        """Normalise a stack (C, H, W) and resample it to the working pixel size, (C, h, w).

        Where the recipe expects colours, a stack of grey values is seen in shades of grey.
        """
        stack = np.repeat(stack, self.in_channels // len(stack), axis=0)
        values = self.normalise(stack, stats)
        values = resample(values, self.working_shape(stack.shape[1:], pixel_spacing))
        return equalised(values) if self.contrast == "adaptive" else values

    def working_shape(
        self, shape: Sequence[int], pixel_spacing: tuple[float, float] | None
    ) -> tuple[int, int]:
        """Return the rows and columns that the network sees of a slice of `shape` (H, W)."""
        known = pixel_spacing or (None if self.assumed_mm is None else (self.assumed_mm,) * 2)
        if self.pixel_mm is None or known is None:
            return (shape[0], shape[1])
        rows, columns = (round(n * mm / self.pixel_mm) for n, mm in zip(shape, known, strict=True))
        return (max(1, rows), max(1, columns))

    def normalise(
        self, stack: NDArray[np.generic], stats: IntensityStats | None
    ) -> NDArray[np.float32]:
        """Clip a stack (C, H, W) and give it mean 0 and deviation 1; a flat one becomes 0.

        Parameters
        ----------
        stats
            Of the whole scan; None measures the middle slice of the stack itself.
        """
        if stats is None:
            middle = stack[self.neighbours * self.channels :][: self.channels]
            stats = IntensityStats.of(middle)
        clipped = np.clip(stack.astype(np.float32), stats.low, stats.high)
        return (clipped - np.float32(stats.mean)) / np.float32(max(stats.std, 1e-6))


def equalised(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Equalise the histogram of every neighbourhood, an eighth of the sides of (C, H, W) wide.

    The result has mean 0 and deviation 1; a flat stack becomes 0.
    """
    # skimage costs a third of a second: imported when a recipe asks for it.
    from skimage.exposure import equalize_adapthist

    if values.min() == values.max():
        return np.zeros_like(values)
    low, span = values.min(), values.max() - values.min()
    even = np.stack([equalize_adapthist((c - low) / span, clip_limit=_CLIP) for c in values])
    standard = (even - even.mean()) / max(float(even.std()), 1e-6)
    return np.asarray(standard, dtype=np.float32)


def resample(values: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Resample (C, H, W) to (C, *shape): linear between pixels, averaged where it shrinks."""
    if values.shape[1:] == shape:
        return values
    resized = functional.interpolate(
        torch.from_numpy(values)[None], shape, mode="bilinear", antialias=True, align_corners=False
    )
    return np.asarray(resized[0].numpy(), dtype=np.float32)
