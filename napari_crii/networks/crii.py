"""CRII-Net: one encoder, a coarse output at a quarter of the resolution, a refined one on top.

A reconstruction from the abstract of Du, Zhang, Liu, Wang, "Coarse-Refined Consistency
Learning Using Pixel-Level Features for Semi-Supervised Medical Image Segmentation", IEEE JBHI
27(8):3970-3981, 2023, and from the public parents of its ingredients; see ``docs/method.md``.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from napari_crii.networks.blocks import ConvBlock, ResidualBlock, UpBlock
from napari_crii.networks.config import NetworkConfig
from napari_crii.networks.segmenter import BranchLogits

STRIDE = 16
COARSE_STRIDE = 4


class CRIINet(nn.Module):
    """Coarse and refined segmentation of 2-D slices.

    The coarse head reads the decoder at stride 4, so the two outputs differ by structure and
    cannot collapse into one function. The refined output corrects the coarse one by a residual
    that starts at zero; it does not send gradients into the coarse head.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        w = config.widths
        inputs = (config.in_channels, *w[:-1])
        self.encoder = nn.ModuleList(
            ConvBlock(i, o, d) for i, o, d in zip(inputs, w, config.dropout, strict=True)
        )
        self.up8 = UpBlock(w[4], w[3], w[3])
        self.up4 = UpBlock(w[3], w[2], w[2])
        self.up2 = UpBlock(w[2], w[1], w[1])
        self.up1 = UpBlock(w[1], w[0], w[0])
        self.coarse_head = nn.Conv2d(w[2], config.classes, 1)
        width = config.refined_width
        self.refined_stem = nn.Conv2d(w[0] + config.classes + 1 + config.in_channels, width, 1)
        self.refined_body = nn.Sequential(ResidualBlock(width), ResidualBlock(width))
        self.refined_head = nn.Conv2d(width, config.classes, 1)
        self.embedding_head = nn.Sequential(
            nn.Linear(w[0] + width, width), nn.LeakyReLU(0.01), nn.Linear(width, config.embedding)
        )
        nn.init.zeros_(self.refined_head.weight)
        nn.init.zeros_(self.refined_head.bias)  # type: ignore[arg-type]

    def forward(self, image: Tensor) -> BranchLogits:
        """Map images (B, C, H, W) of any size to logits of both branches, (B, K, H, W)."""
        return self.forward_with_features(image)[0]

    def forward_with_features(self, image: Tensor) -> tuple[BranchLogits, Tensor]:
        """Return the logits and the pixel features (B, F, H, W) that `embed` reads."""
        height, width = image.shape[-2:]
        padded = pad_to_stride(image)
        f4, f1 = self._decode(padded)
        coarse = nn.functional.interpolate(
            self.coarse_head(f4), scale_factor=COARSE_STRIDE, mode="bilinear", align_corners=False
        )
        refined, body = self._refine(padded, coarse.detach(), f1)
        logits = BranchLogits(coarse[..., :height, :width], refined[..., :height, :width])
        return logits, torch.cat([f1, body], dim=1)[..., :height, :width]

    def embed(self, features: Tensor) -> Tensor:
        """Map features of N sampled pixels (N, F) to unit vectors (N, E)."""
        return nn.functional.normalize(self.embedding_head(features), dim=1)

    def _decode(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return the decoder's features at strides 4 and 1."""
        skips = [self.encoder[0](image)]
        for stage in self.encoder[1:]:
            skips.append(stage(nn.functional.max_pool2d(skips[-1], 2)))
        f8 = self.up8(skips[4], skips[3])
        f4 = self.up4(f8, skips[2])
        f2 = self.up2(f4, skips[1])
        return f4, self.up1(f2, skips[0])

    def _refine(self, image: Tensor, coarse: Tensor, f1: Tensor) -> tuple[Tensor, Tensor]:
        """Return refined logits and the refined branch's features; `coarse` carries no gradient."""
        log_p = nn.functional.log_softmax(coarse, dim=1)
        p = log_p.exp()
        entropy = -(p * log_p).sum(dim=1, keepdim=True) / math.log(coarse.shape[1])
        body = self.refined_body(self.refined_stem(torch.cat([f1, p, entropy, image], dim=1)))
        return coarse + self.refined_head(body), body


def pad_to_stride(image: Tensor) -> Tensor:
    """Repeat the last row and column until both sides are multiples of 16."""
    below, right = (-image.shape[-2] % STRIDE, -image.shape[-1] % STRIDE)
    if below == 0 and right == 0:
        return image
    return nn.functional.pad(image, (0, right, 0, below), mode="replicate")
