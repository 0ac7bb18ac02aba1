"""Cross pseudo supervision: Chen et al., CVPR 2021.

Eq. 2 to 4: two networks of one structure, begun differently; each learns the other's hard labels
on labelled and on unlabelled crops in one mean, weight 1.5. The ramp-up, over two fifths of the
run, is ours. The first network is tested.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_crii.benchmark.methods.backbone import UNet
from napari_crii.benchmark.methods.method import Method, Setting, supervised
from napari_crii.benchmark.methods.passes import stream_of
from napari_crii.losses import gaussian_ramp
from napari_crii.networks import NetworkConfig
from napari_crii.training.objectives import Step

CROSS = 1.5
RAMP = 0.4


class Pair(nn.Module):
    """Two networks that see the same images."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.first = UNet(config)
        self.second = UNet(config)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits of both."""
        return self.first(image), self.second(image)


class CrossPseudo:
    """Each network is the other's teacher."""

    def __init__(self, setting: Setting) -> None:
        self._pool_weight = setting.pool_weight

    def __call__(self, step: Step) -> Tensor:
        """Return supervision of both plus cross pseudo supervision."""
        labelled, rest = step.batch.labelled, stream_of(step)
        images = torch.cat([labelled.images, rest.strong[0]])
        first, second = step.passed(step.student, images)
        count = len(labelled.images)
        said = supervised(first[:count], labelled) + supervised(second[:count], labelled)
        cross = functional.cross_entropy(first, second.detach().argmax(dim=1))
        cross = cross + functional.cross_entropy(second, first.detach().argmax(dim=1))
        # Supervision is halved; so is what it is weighed against.
        weight = 0.5 * self._pool_weight * CROSS * gaussian_ramp(step.progress, RAMP)
        return said + weight * cross


def first_logits(network: Pair, images: Tensor) -> Tensor:
    """Return what the first network says."""
    logits: Tensor = network.first(images)
    return logits


CPS = Method(Pair, CrossPseudo, logits=first_logits)
