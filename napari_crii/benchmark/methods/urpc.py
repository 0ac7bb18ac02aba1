"""Uncertainty rectified pyramid consistency: Luo et al., MedIA 2022 (MICCAI 2021).

Eq. 2: mean of the pyramid's outputs. Eq. 3: divergence ``D_s`` of each from it. Eq. 5: squared
distance weighted ``exp(-D_s)``, plus the mean divergence. Weight ``0.1 exp(-5 (1 - t / tmax)^2)``.
The mean of the pyramid is not tested, its finest output is. The divergence is that of an output
from the mean and all scales share one normalisation, where the authors' code has the reverse
divergence and normalises each; heads are not disturbed.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_crii.benchmark.methods.backbone import Decoder, Encoder
from napari_crii.benchmark.methods.method import Method, Setting, supervised
from napari_crii.benchmark.methods.passes import stream_of
from napari_crii.losses import gaussian_ramp
from napari_crii.networks import NetworkConfig
from napari_crii.networks.crii import pad_to_stride
from napari_crii.training.objectives import Step

CONSISTENCY = 0.1
_TINY = 1e-6


class Pyramid(nn.Module):
    """A head at each scale of the decoder, enlarged to the image."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.heads = nn.ModuleList(
            nn.Conv2d(width, config.classes, 1) for width in reversed(config.widths[:-1])
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return four logits (B, K, H, W), the coarsest first."""
        height, width = image.shape[-2:]
        padded = pad_to_stride(image)
        found = []
        for head, features in zip(self.heads, self.decoder(self.encoder(padded)), strict=True):
            wide = nn.functional.interpolate(
                head(features), padded.shape[-2:], mode="bilinear", align_corners=False
            )
            found.append(wide[..., :height, :width])
        return found


class PyramidConsistency:
    """Scales that agree, the uncertain pixels counting less."""

    def __init__(self, setting: Setting) -> None:
        self._pool_weight = setting.pool_weight

    def __call__(self, step: Step) -> Tensor:
        """Return supervision of every scale plus rectified consistency."""
        labelled, rest = step.batch.labelled, stream_of(step)
        count = len(labelled.images)
        scales = step.passed(step.student, torch.cat([labelled.images, rest.strong[0]]))
        said = torch.stack([supervised(z[:count], labelled) for z in scales]).mean()
        consistency = rectified_consistency(torch.stack([z[count:] for z in scales]))
        weight = self._pool_weight * CONSISTENCY * gaussian_ramp(step.progress, 1.0)
        return said + weight * consistency


def rectified_consistency(scales: Tensor) -> Tensor:
    """Return eq. 5 for logits (S, B, K, H, W)."""
    p = scales.softmax(dim=2)
    mean = p.mean(dim=0, keepdim=True)
    divergence = (p * ((p + _TINY).log() - (mean + _TINY).log())).sum(dim=2)
    weight = (-divergence).exp()
    distance = (p - mean).square().sum(dim=2)
    rectified = (weight * distance).sum() / weight.sum().clamp_min(_TINY)
    return rectified + divergence.mean()


def finest_logits(network: Pyramid, images: Tensor) -> Tensor:
    """Return the output at full resolution."""
    logits: Tensor = network(images)[-1]
    return logits


URPC = Method(Pyramid, PyramidConsistency, logits=finest_logits)
