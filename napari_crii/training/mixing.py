"""Copy-paste mixing of slices, pseudo-labels cleaned, objects faded."""

from __future__ import annotations

import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

_EDGE_SIGMA = 1.5
_TINY = 1e-6


def box_mask(shape: tuple[int, int], share: float, place: tuple[float, float]) -> Tensor:
    """Return (H, W) bool, True in a box.

    Parameters
    ----------
    share
        Side of the box over the side of the image.
    place
        Where its corner lies, 0 to 1 of the room there is.
    """
    mask = torch.zeros(shape, dtype=torch.bool)
    (top, height), (left, width) = (
        (round(at * (n - round(share * n))), round(share * n))
        for n, at in zip(shape, place, strict=True)
    )
    mask[top : top + height, left : left + width] = True
    return mask


def random_box(shape: tuple[int, int], share: float) -> Tensor:
    """Return `box_mask` at a random place; chance is torch's own."""
    row, column = torch.rand(2).tolist()
    return box_mask(shape, share, (row, column))


def paste(inner: Tensor, outer: Tensor, box: Tensor) -> Tensor:
    """Return `inner` inside the box and `outer` outside; batches (B, ..., H, W) alike."""
    return torch.where(box, inner, outer)


def largest_components(labels: Tensor, classes: int) -> Tensor:
    """Keep the largest connected part of each foreground class of each image (B, H, W)."""
    result = torch.zeros_like(labels)
    for i, image in enumerate(labels.cpu().numpy()):
        for k in range(1, classes):
            parts, count = ndimage.label(image == k)
            if count:
                sizes = ndimage.sum_labels(image == k, parts, range(1, count + 1))
                kept = torch.from_numpy(parts == 1 + int(sizes.argmax()))
                result[i][kept.to(labels.device)] = k
    return result


def fade(images: Tensor, labels: Tensor, weights: Tensor, left: Tensor, classes: int) -> Tensor:
    """Fade each object towards its surround.

    ``x' = x - (1 - left) * delta * soft mask``, with delta the difference of the mean inside
    and the mean in a ring around: a lesion of low contrast made from one of high contrast.

    Parameters
    ----------
    images
        (B, C, H, W).
    labels, weights
        (B, H, W); pixels of weight 0 are neither object nor surround.
    left
        (B,) share of the contrast that stays; 1 leaves an image as it is.
    """
    said = weights > 0
    faded = images
    for k in range(1, classes):
        inside = (labels == k) & said
        ring = (_grown(inside, 5) & said & ~inside)[:, None].float()
        mask = inside[:, None].float()
        there = (mask.sum((2, 3)) > 0) & (ring.sum((2, 3)) > 0)
        delta = torch.where(there, _mean(images, mask) - _mean(images, ring), 0.0)
        lost = ((1 - left)[:, None] * delta)[..., None, None]
        faded = faded - lost * _soft(mask)
    return faded


def _mean(images: Tensor, mask: Tensor) -> Tensor:
    return (images * mask).sum((2, 3)) / mask.sum((2, 3)).clamp_min(_TINY)


def _grown(mask: Tensor, reach: int) -> Tensor:
    size = 2 * reach + 1
    return functional.max_pool2d(mask[:, None].float(), size, stride=1, padding=reach)[:, 0] > 0


def _soft(mask: Tensor) -> Tensor:
    """Blur (B, 1, H, W) by a small Gaussian."""
    steps = torch.arange(-4, 5, dtype=mask.dtype, device=mask.device)
    kernel = torch.exp(-(steps**2) / (2 * _EDGE_SIGMA**2))
    kernel = kernel / kernel.sum()
    rows = functional.conv2d(mask, kernel.view(1, 1, -1, 1), padding=(4, 0))
    return functional.conv2d(rows, kernel.view(1, 1, 1, -1), padding=(0, 4))
