"""Mutual consistency network: Wu et al., MICCAI 2021.

Two decoders that differ in how they enlarge (transposed convolution, interpolation). Eq. 1:
sharpening with T = 0.1. Eq. 2 and 3: each output learns the other's sharpened one on all images,
weight ``0.1 exp(-5 (1 - t / tmax)^2)``. The interpolating decoder is tested. Of several classes
all are sharpened together, and the sharpened output passes no gradient, as it does in the authors'
code; labels are learnt by cross-entropy and Dice, there by Dice.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_crii.benchmark.methods.backbone import Decoder, Encoder, TransposedUp
from napari_crii.benchmark.methods.method import Method, Setting, supervised
from napari_crii.benchmark.methods.passes import stream_of
from napari_crii.losses import gaussian_ramp
from napari_crii.networks import NetworkConfig
from napari_crii.networks.crii import pad_to_stride
from napari_crii.training.objectives import Step

CONSISTENCY = 0.1
TEMPERATURE = 0.1


class TwoDecoders(nn.Module):
    """One encoder, two decoders."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.encoder = Encoder(config)
        self.decoders = nn.ModuleList([Decoder(config), Decoder(config, TransposedUp)])
        self.heads = nn.ModuleList(nn.Conv2d(config.widths[0], config.classes, 1) for _ in "ab")

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits of both decoders."""
        height, width = image.shape[-2:]
        features = self.encoder(pad_to_stride(image))
        first, second = (
            head(decoder(features)[-1])[..., :height, :width]
            for head, decoder in zip(self.heads, self.decoders, strict=True)
        )
        return first, second


class MutualConsistency:
    """Each decoder learns the other's sharpened output."""

    def __init__(self, setting: Setting) -> None:
        self._pool_weight = setting.pool_weight

    def __call__(self, step: Step) -> Tensor:
        """Return supervision of both plus mutual consistency."""
        labelled, rest = step.batch.labelled, stream_of(step)
        count = len(labelled.images)
        outputs = step.passed(step.student, torch.cat([labelled.images, rest.strong[0]]))
        said = supervised(outputs[0][:count], labelled) + supervised(outputs[1][:count], labelled)
        first, second = (z.softmax(dim=1) for z in outputs)
        mutual: Tensor = (first - sharpened(second.detach())).square().mean()
        mutual = mutual + (second - sharpened(first.detach())).square().mean()
        weight = self._pool_weight * CONSISTENCY * gaussian_ramp(step.progress, 1.0)
        return said + weight * mutual


def sharpened(p: Tensor) -> Tensor:
    """Return ``p^(1/T)`` normalised over the classes (B, K, H, W); eq. 1 for two classes."""
    # From logarithms: the tenth power of a small float is zero.
    sharp: Tensor = (p.clamp_min(1e-6).log() / TEMPERATURE).softmax(dim=1)
    return sharp


def interpolating_logits(network: TwoDecoders, images: Tensor) -> Tensor:
    """Return what the interpolating decoder says."""
    logits: Tensor = network(images)[0]
    return logits


MCNET = Method(TwoDecoders, MutualConsistency, logits=interpolating_logits)
