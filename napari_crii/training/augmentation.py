"""Strong augmentation: random parameters are drawn apart from their application.

Geometry (crop, rotation, zoom, stretch, mirror, soft deformation) is one resampling step, so a
crop is interpolated once. Photometry (contrast, brightness, gamma, blur, noise) follows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from napari_crii.training.data import TrainingSlice

_DEFORMATION_GRID = 5


@dataclass(frozen=True, eq=False)
class Placement:
    """Where a crop comes from.

    Attributes
    ----------
    center
        Row and column in the source slice.
    matrix
        (2, 2): offset in the crop (row, column) to offset in the source.
    bend
        (2, n, n) displacement in source pixels on a coarse grid over the crop.
    """

    center: tuple[float, float]
    matrix: NDArray[np.float64]
    bend: NDArray[np.float64]


@dataclass(frozen=True)
class Photometry:
    """How intensities change; inputs are standardised, so 1 is one deviation."""

    contrast: float
    brightness: float
    gamma: float
    blur: float
    noise: float


def draw_placement(
    rng: np.random.Generator,
    center: tuple[float, float],
    mirror_axes: tuple[int, ...] = (0, 1),
    strength: float = 1.0,
    turned: float = 0.0,
) -> Placement:
    """Draw rotation (up to 0.5 rad), zoom (0.7 to 1.4), stretch, mirror and deformation.

    A share `turned` is turned by one, two or three quarter turns besides.
    """
    angle = strength * rng.uniform(-0.5, 0.5)
    if turned and rng.random() < turned:
        angle += np.pi / 2 * rng.integers(1, 4)
    zoom = np.exp(strength * rng.uniform(np.log(0.7), np.log(1.4)))
    stretch = np.exp(strength * rng.uniform(-0.15, 0.15))
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    chance = 0.5 * min(1.0, strength)
    mirror = np.array([-1.0 if a in mirror_axes and rng.random() < chance else 1.0 for a in (0, 1)])
    matrix = rotation @ np.diag(mirror * zoom * np.array([stretch, 1 / stretch]))
    bends = strength * (rng.random() < 0.5) * rng.uniform(0.0, 5.0)
    bend = bends * rng.standard_normal((2, _DEFORMATION_GRID, _DEFORMATION_GRID))
    return Placement(center, matrix, bend)


def draw_weak_placement(
    rng: np.random.Generator, center: tuple[float, float], mirror_axes: tuple[int, ...] = (0, 1)
) -> Placement:
    """Draw mirror and, for half of the crops, a rotation of up to 20 degrees."""
    angle = rng.uniform(-1, 1) * np.radians(20.0) * (rng.random() < 0.5)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    mirror = np.array([-1.0 if a in mirror_axes and rng.random() < 0.5 else 1.0 for a in (0, 1)])
    flat = np.zeros((2, _DEFORMATION_GRID, _DEFORMATION_GRID))
    return Placement(center, rotation @ np.diag(mirror), flat)


def draw_photometry(rng: np.random.Generator) -> Photometry:
    """Draw contrast, brightness, gamma, and sometimes blur and noise."""
    return Photometry(
        contrast=float(np.exp(rng.uniform(-0.4, 0.4))),
        brightness=float(rng.uniform(-0.4, 0.4)),
        gamma=float(np.exp(rng.uniform(-0.4, 0.4))) if rng.random() < 0.5 else 1.0,
        blur=float(rng.uniform(0.3, 1.2)) if rng.random() < 0.25 else 0.0,
        noise=float(rng.uniform(0.0, 0.25)) if rng.random() < 0.5 else 0.0,
    )


def crop(item: TrainingSlice, placement: Placement, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Cut a crop out of a slice.

    Returns
    -------
    tuple
        Image (C, size, size), labels and weights (size, size). Outside the slice the image
        repeats its border and the weight is 0.
    """
    grid = _source_grid(placement, size, (item.image.shape[-2], item.image.shape[-1]))
    image = functional.grid_sample(
        item.image[None], grid, mode="bilinear", padding_mode="border", align_corners=True
    )[0]
    said = torch.stack([item.label.float(), item.weight])[None]
    said = functional.grid_sample(
        said, grid, mode="nearest", padding_mode="zeros", align_corners=True
    )[0]
    return image, said[0].long(), said[1]


def adjust(image: Tensor, change: Photometry, generator: torch.Generator) -> Tensor:
    """Apply photometry to a crop (C, H, W)."""
    if change.blur > 0:
        image = _blur(image, change.blur)
    if change.gamma != 1.0:
        low, span = image.min(), (image.max() - image.min()).clamp_min(1e-6)
        image = ((image - low) / span).pow(change.gamma) * span + low
    image = image * change.contrast + change.brightness
    if change.noise > 0:
        image = image + change.noise * torch.randn(image.shape, generator=generator)
    return image


def _source_grid(placement: Placement, size: int, shape: tuple[int, int]) -> Tensor:
    """Return sampling positions (1, size, size, 2) as `grid_sample` wants them: x, y in -1..1."""
    steps = torch.arange(size, dtype=torch.float32) - (size - 1) / 2
    offsets = torch.stack(torch.meshgrid(steps, steps, indexing="ij"))
    matrix = torch.from_numpy(placement.matrix).float()
    source = torch.einsum("ij,jhw->ihw", matrix, offsets)
    source += torch.tensor(placement.center, dtype=torch.float32)[:, None, None]
    if placement.bend.any():
        bend = torch.from_numpy(placement.bend).float()[None]
        source += functional.interpolate(bend, (size, size), mode="bicubic", align_corners=True)[0]
    extent = torch.tensor(shape, dtype=torch.float32).sub(1).clamp_min(1)[:, None, None]
    unit = 2 * source / extent - 1
    return unit.flip(0).movedim(0, -1)[None]


def _blur(image: Tensor, sigma: float) -> Tensor:
    reach = max(1, round(3 * sigma))
    steps = torch.arange(-reach, reach + 1, dtype=torch.float32)
    kernel = torch.exp(-(steps**2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    channels = image.shape[0]
    padded = functional.pad(image[None], (reach, reach, reach, reach), mode="replicate")
    rows = kernel.view(1, 1, -1, 1).expand(channels, 1, -1, 1)
    columns = kernel.view(1, 1, 1, -1).expand(channels, 1, 1, -1)
    once = functional.conv2d(padded, rows, groups=channels)
    return functional.conv2d(once, columns, groups=channels)[0]
