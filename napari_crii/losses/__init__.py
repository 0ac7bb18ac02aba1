"""Losses on logits, targets and a weight per pixel, and on embeddings of pixels and patches."""

from napari_crii.losses.consistency import (
    agreement_weight,
    branch_consistency,
    gaussian_ramp,
    linear_ramp,
    view_agreement,
)
from napari_crii.losses.inter_patch import DescriptorMemory, inter_patch_loss
from napari_crii.losses.intra_patch import intra_patch_loss
from napari_crii.losses.ranked import RankedConfig, ranked_list_loss
from napari_crii.losses.segmentation import (
    segmentation_loss,
    soft_dice_loss,
    weighted_cross_entropy,
)

__all__ = [
    "DescriptorMemory",
    "RankedConfig",
    "agreement_weight",
    "branch_consistency",
    "gaussian_ramp",
    "inter_patch_loss",
    "intra_patch_loss",
    "linear_ramp",
    "ranked_list_loss",
    "segmentation_loss",
    "soft_dice_loss",
    "view_agreement",
    "weighted_cross_entropy",
]
