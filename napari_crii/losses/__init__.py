"""Losses; every one takes logits, targets and a weight per pixel."""

from napari_crii.losses.segmentation import (
    segmentation_loss,
    soft_dice_loss,
    weighted_cross_entropy,
)

__all__ = ["segmentation_loss", "soft_dice_loss", "weighted_cross_entropy"]
