"""Intra-Patch Ranked Loss: pixels near an object's edge belong to its inside, not across.

Reconstructed from the abstract of Du et al. (JBHI 2023): anchors near the boundary, positives
of the same class farther inside, negatives of other classes, within one small patch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from napari_crii.losses.ranked import RankedConfig, ranked_list_loss

Embed = Callable[[Tensor], Tensor]
_LOW_MARGIN = 0.5


class _Chosen(NamedTuple):
    """Sampled pixels (G, n) of a patch, and which of them are real."""

    places: Tensor
    valid: Tensor


def intra_patch_loss(
    embed: Embed,
    features: Tensor,
    logits: Tensor,
    labels: Tensor,
    weights: Tensor,
    config: RankedConfig,
) -> Tensor:
    """Rank the pixels of patches around boundaries.

    Parameters
    ----------
    embed
        Maps (N, F) features to (N, E) unit vectors.
    features
        (B, F, H, W).
    logits
        (B, K, H, W) of the refined branch; they choose hard anchors and carry no gradient.
    labels, weights
        (B, H, W); pixels of weight 0 are neither anchors nor others.

    Returns
    -------
    Tensor
        A scalar; zero, with a graph, where no boundary is annotated.
    """
    classes = logits.shape[1]
    known = weights > 0
    label = torch.where(known, labels, torch.full_like(labels, classes))
    p = logits.detach().softmax(dim=1)
    true = p.gather(1, label.clamp_max(classes - 1)[:, None])[:, 0]
    where = _patch_pixels(boundary(label, classes), 1.0 - true, config)
    if where is None:
        return features.sum() * 0.0
    image, pixels = where
    flat = label.flatten(1)[image[:, None], pixels]
    hard = (2 * true - 1 < _LOW_MARGIN).flatten(1)[image[:, None], pixels]
    near = _bands(label, classes, config.band).flatten(2)
    # Every class of every patch is a list of its own: K * G rows.
    ids = torch.arange(classes, device=label.device)[:, None, None]
    in_band = near.transpose(0, 1)[ids, image[None, :, None], pixels[None]].flatten(0, 1)
    known_flat = (flat < classes)[None]
    return _ranked(
        embed,
        features,
        (image.repeat(classes), pixels.repeat(classes, 1)),
        ((flat[None] == ids).flatten(0, 1), ((flat[None] != ids) & known_flat).flatten(0, 1)),
        in_band,
        hard.repeat(classes, 1),
        config,
    )


def boundary(label: Tensor, unknown: int) -> Tensor:
    """Return (B, H, W) bool: known pixels with a known pixel of another class among the 8 next."""
    top, bottom = _extremes(label, unknown, 1)
    return ((top > bottom)[:, 0]) & (label != unknown)


def _bands(label: Tensor, classes: int, reach: int) -> Tensor:
    """Return (B, K, H, W) bool: pixels within `reach` of a place where class k meets another.

    The distance is that of a square neighbourhood; towards unknown pixels there is no edge.
    """
    top, bottom = _extremes(label, classes, reach)
    if classes == 2:
        return (top > bottom).expand(-1, 2, -1, -1)
    member = functional.one_hot(label, classes + 1).movedim(-1, 1)[:, :classes].float()
    return (_highest(member, reach) > 0) & (top > bottom)


def _extremes(label: Tensor, unknown: int, reach: int) -> tuple[Tensor, Tensor]:
    """Return the highest and the lowest known class around each pixel, (B, 1, H, W).

    Where nothing is known the highest is -1 and the lowest `unknown`.
    """
    known, value = (label != unknown)[:, None], label.float()[:, None]
    above = torch.where(known, value, torch.full_like(value, -1.0))
    below = torch.where(known, -value, torch.full_like(value, -float(unknown)))
    both = _highest(torch.cat([above, below], dim=1), reach)
    return both[:, :1], -both[:, 1:]


def _highest(values: Tensor, reach: int) -> Tensor:
    """Return the maximum over squares of side ``2 * reach + 1``, one axis after the other."""
    size = 2 * reach + 1
    rows = functional.max_pool2d(values, (size, 1), stride=1, padding=(reach, 0))
    return functional.max_pool2d(rows, (1, size), stride=1, padding=(0, reach))


def _patch_pixels(
    edge: Tensor, error: Tensor, config: RankedConfig
) -> tuple[Tensor, Tensor] | None:
    """Draw patches on boundaries; return their image (G,) and flat pixel indices (G, side²)."""
    height, width = edge.shape[1:]
    there = edge.flatten(1).any(dim=1).nonzero()[:, 0]
    if not len(there):
        return None
    chance = edge.flatten(1)[there].float()
    half = max(1, config.patches // 2)
    drawn = torch.multinomial(chance, half, replacement=True)
    if config.patches > half:
        wrong = chance * (error.flatten(1)[there] + 1e-3)
        more = torch.multinomial(wrong, config.patches - half, replacement=True)
        drawn = torch.cat([drawn, more], dim=1)
    side = min(config.side(height), width)
    centre = drawn.flatten()
    top = (centre // width - side // 2).clamp(0, height - side)
    left = (centre % width - side // 2).clamp(0, width - side)
    steps = torch.arange(side, device=edge.device)
    rows, columns = top[:, None] + steps, left[:, None] + steps
    pixels = (rows[:, :, None] * width + columns[:, None, :]).flatten(1)
    return there.repeat_interleave(drawn.shape[1]), pixels


def _ranked(
    embed: Embed,
    features: Tensor,
    place: tuple[Tensor, Tensor],
    sides: tuple[Tensor, Tensor],
    in_band: Tensor,
    hard: Tensor,
    config: RankedConfig,
) -> Tensor:
    """Return the loss of all lists; masks are (lists, side²), `sides` own class and others."""
    own, others = sides
    near = own & in_band
    anchors = _two_halves(near & hard, near, config.anchors)
    positives = _choose(own & ~in_band, config.positives)
    negatives = _two_halves(others & in_band, others, config.negatives)
    chosen = torch.cat([anchors.places, positives.places, negatives.places], dim=1)
    image, pixels = place
    at = pixels.gather(1, chosen)
    # One selection of rows: its gradient is one addition into the features.
    area = features.shape[2] * features.shape[3]
    rows = features.movedim(1, -1).flatten(0, 2)
    vectors = embed(rows.index_select(0, (image[:, None] * area + at).flatten()))
    vectors = vectors.view(*at.shape, -1)
    count = anchors.places.shape[1]
    valid = torch.cat([positives.valid, negatives.valid], dim=1)[:, None] & anchors.valid[..., None]
    is_positive = torch.arange(valid.shape[2], device=valid.device) < positives.places.shape[1]
    return ranked_list_loss(
        vectors[:, :count], vectors[:, count:], valid & is_positive, valid & ~is_positive, config
    )


def _choose(mask: Tensor, count: int) -> _Chosen:
    """Draw up to `count` pixels of each row of a mask (G, N), without repetition."""
    keys = torch.rand(mask.shape, device=mask.device).masked_fill(~mask, -1.0)
    value, index = keys.topk(min(count, mask.shape[1]), dim=1)
    return _Chosen(index, value >= 0)


def _two_halves(first: Tensor, all_: Tensor, count: int) -> _Chosen:
    """Draw half from `first`, the others from the rest of `all_`."""
    preferred = _choose(first, count // 2)
    taken = torch.zeros_like(all_).scatter(1, preferred.places, preferred.valid)
    rest = _choose(all_ & ~taken, count - count // 2)
    return _Chosen(
        torch.cat([preferred.places, rest.places], dim=1),
        torch.cat([preferred.valid, rest.valid], dim=1),
    )
