"""Inter-Patch Ranked Loss: an object of low contrast is like one of high contrast.

Reconstructed from the abstract of Du et al. (JBHI 2023): descriptors of patches, across images;
the patches of lowest contrast-to-noise are anchors, those of highest are positives, surrounds
are negatives. A first-in first-out memory per class lends descriptors of earlier batches.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from napari_crii.losses.ranked import RankedConfig, ranked_list_loss

_TINY = 1e-6


@dataclass(frozen=True, eq=False)
class Descriptors:
    """Patches of one class.

    Attributes
    ----------
    inside, surround
        (P, E) unit vectors: mean embedding of the object, and of what lies around it.
    contrast
        (P,) contrast-to-noise ratio.
    """

    inside: Tensor
    surround: Tensor
    contrast: Tensor

    def __len__(self) -> int:
        """Return the number of patches."""
        return len(self.contrast)


class DescriptorMemory:
    """The latest descriptors of each class, first in first out, without gradients."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: dict[int, Descriptors] = {}

    def recall(self, label: int, like: Descriptors) -> Descriptors:
        """Return what is kept of a class, oldest first; nothing, shaped like `like`, at first."""
        return self._kept.get(label, Descriptors(*(part[:0].detach() for part in _parts(like))))

    def remember(self, label: int, new: Descriptors) -> None:
        """Add descriptors; the oldest go."""
        old = self.recall(label, new)
        joined = (torch.cat([a, b.detach()]) for a, b in zip(_parts(old), _parts(new), strict=True))
        self._kept[label] = Descriptors(*(part[-self._size :] for part in joined))


def inter_patch_loss(
    embed: Callable[[Tensor], Tensor],
    features: Tensor,
    images: Tensor,
    labels: Tensor,
    weights: Tensor,
    memory: DescriptorMemory,
    config: RankedConfig,
    classes: int,
) -> Tensor:
    """Rank patches of low contrast; remembers this batch's patches afterwards.

    Parameters
    ----------
    embed
        Maps (N, F) features to (N, E) unit vectors.
    features, images
        (B, F, H, W) and (B, C, H, W).
    labels, weights
        (B, H, W); pixels of weight 0 count as neither object nor surround.

    Returns
    -------
    Tensor
        A scalar; zero, with a graph, without a mixed patch or anything to compare it with.
    """
    side = min(config.side(labels.shape[1]), labels.shape[2])
    label = torch.where(weights > 0, labels, torch.full_like(labels, -1))
    said, grey = _tiles(label, side), _tiles(images.mean(dim=1), side)
    pixel = _tile_places(label.shape, side, label.device)
    rows = features.movedim(1, -1).flatten(0, 2)
    losses = []
    for k in range(1, classes):
        found = _describe(embed, rows, grey, said, pixel, k, config)
        if not len(found):
            continue
        losses.append(_rank(found, memory.recall(k, found), config))
        memory.remember(k, found)
    return torch.stack(losses).mean() if losses else features.sum() * 0.0


def contrast_to_noise(grey: Tensor, inside: Tensor, surround: Tensor) -> Tensor:
    """Return |difference of means| / sqrt(sum of variances) for patches (P, N) with bool masks."""
    moments = []
    for mask in (inside, surround):
        count = mask.sum(dim=1).clamp_min(1)
        mean = (grey * mask).sum(dim=1) / count
        variance = ((grey - mean[:, None]).square() * mask).sum(dim=1) / count
        moments.append((mean, variance))
    (mean_in, var_in), (mean_out, var_out) = moments
    return (mean_in - mean_out).abs() / (var_in + var_out).clamp_min(_TINY).sqrt()


def _describe(
    embed: Callable[[Tensor], Tensor],
    rows: Tensor,
    grey: Tensor,
    said: Tensor,
    pixel: Tensor,
    label: int,
    config: RankedConfig,
) -> Descriptors:
    """Return the descriptors of the mixed patches of one class."""
    share = (said == label).float().mean(dim=1)
    mixed = (share >= config.mixed[0]) & (share <= config.mixed[1])
    inside = said[mixed] == label
    surround = (said[mixed] >= 0) & ~inside
    # A patch whose surround nobody annotated has nothing to stand out from.
    framed = surround.sum(dim=1) >= config.mixed[0] * said.shape[1]
    inside, surround, at = inside[framed], surround[framed], pixel[mixed][framed]
    sides, twice = torch.cat([inside, surround]), at.repeat(2, 1)
    means = _mean_embedding(embed, rows, twice, sides, config.pixels)
    contrast = contrast_to_noise(grey[mixed][framed], inside, surround)
    return Descriptors(means[: len(at)], means[len(at) :], contrast)


def _mean_embedding(
    embed: Callable[[Tensor], Tensor], rows: Tensor, at: Tensor, mask: Tensor, count: int
) -> Tensor:
    keys = torch.rand(mask.shape, device=mask.device).masked_fill(~mask, -1.0)
    value, index = keys.topk(min(count, mask.shape[1]), dim=1)
    vectors = embed(rows.index_select(0, at.gather(1, index).flatten()))
    # The length is named: of nothing, torch cannot tell it.
    vectors = vectors.view(*index.shape, vectors.shape[-1])
    return functional.normalize((vectors * (value >= 0)[..., None]).sum(dim=1), dim=1)


def _rank(found: Descriptors, kept: Descriptors, config: RankedConfig) -> Tensor:
    """Return the loss of one class; anchors are of this batch, others of the memory too."""
    contrast = torch.cat([found.contrast, kept.contrast])
    low, high = (torch.quantile(contrast, q) for q in (config.low, 1 - config.high))
    inside = torch.cat([found.inside, kept.inside])
    others = torch.cat([inside, found.surround, kept.surround])
    is_anchor = found.contrast <= low
    patches, count = len(inside), len(others)
    index = torch.arange(count, device=contrast.device)
    good = torch.zeros(count, dtype=torch.bool, device=contrast.device)
    good[:patches] = contrast >= high
    itself = index[None] == torch.arange(len(found), device=contrast.device)[:, None]
    positive = (good[None] & ~itself)[is_anchor]
    negative = (index >= patches).expand(len(found), -1)[is_anchor]
    anchors = found.inside[is_anchor]
    return ranked_list_loss(anchors[None], others[None], positive[None], negative[None], config)


def _tiles(values: Tensor, side: int) -> Tensor:
    """Cut (B, H, W) into whole tiles, (P, side²); ragged rims are left out."""
    tiles = values.unfold(1, side, side).unfold(2, side, side)
    return tiles.flatten(0, 2).flatten(1)


def _tile_places(shape: torch.Size, side: int, device: torch.device) -> Tensor:
    """Return where each tile's pixels lie in (B * H * W)."""
    return _tiles(torch.arange(shape.numel(), device=device).view(shape), side)


def _parts(d: Descriptors) -> tuple[Tensor, Tensor, Tensor]:
    return d.inside, d.surround, d.contrast
