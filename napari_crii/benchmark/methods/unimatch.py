"""UniMatch: Yang et al., CVPR 2023.

Eq. 7: pseudo-labels of the weak view, of confidence above 0.95, are learnt under feature
dropout (0.5, channels; weight 1/2) and under two strong views with CutMix (weight 1/4 each), and
labels and these are halved. As in its experiments on medical images pseudo-labels are learnt by
Dice alone, over the certain pixels; no teacher. What is cut in comes from the next crop of the same
batch instead of a batch of its own.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_crii.benchmark.methods.backbone import UNet
from napari_crii.benchmark.methods.method import Method, Setting, supervised
from napari_crii.benchmark.methods.passes import stream_of
from napari_crii.losses.segmentation import soft_dice_loss
from napari_crii.networks.crii import pad_to_stride
from napari_crii.training.mixing import paste
from napari_crii.training.objectives import Step

CONFIDENCE = 0.95
FEATURE_DROPOUT = 0.5
CUTMIX_CHANCE = 0.5


class PerturbedUNet(UNet):
    """A U-Net that can decode its features a second time, with channels dropped."""

    def perturbed(self, image: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Return logits of all images, and of the last `count` with channels dropped."""
        height, width = image.shape[-2:]
        features = self.encoder(pad_to_stride(image))
        dropped = [nn.functional.dropout2d(f[-count:], FEATURE_DROPOUT) for f in features]
        joined = [torch.cat([f, d]) for f, d in zip(features, dropped, strict=True)]
        logits = self.head(self.decoder(joined)[-1])[..., :height, :width]
        return logits[:-count], logits[-count:]


class WeakToStrong:
    """One weak view teaches three disturbed ones."""

    def __init__(self, setting: Setting) -> None:
        self._pool_weight = setting.pool_weight

    def __call__(self, step: Step) -> Tensor:
        """Return half of supervision plus what the disturbed views miss."""
        labelled, rest = step.batch.labelled, stream_of(step)
        images = torch.cat([labelled.images, rest.weak])
        plain, dropped = step.passed(step.student.perturbed, images, count=len(rest.weak))
        said = supervised(plain[: len(labelled.images)], labelled)
        confidence, pseudo = plain[len(labelled.images) :].detach().softmax(dim=1).max(dim=1)
        sure = (confidence >= CONFIDENCE).float()
        guessed = 0.5 * soft_dice_loss(dropped, pseudo, sure)
        for strong in rest.strong:
            guessed = guessed + 0.25 * self._strong(step, strong, pseudo, sure)
        return 0.5 * (said + self._pool_weight * guessed)

    def _strong(self, step: Step, strong: Tensor, pseudo: Tensor, sure: Tensor) -> Tensor:
        box = cutmix_boxes(pseudo.shape).to(pseudo.device)
        mixed = paste(strong.roll(1, dims=0), strong, box[:, None])
        labels = paste(pseudo.roll(1, dims=0), pseudo, box)
        weights = paste(sure.roll(1, dims=0), sure, box)
        return soft_dice_loss(step.passed(step.student, mixed), labels, weights)


def cutmix_boxes(shape: torch.Size) -> Tensor:
    """Return (B, H, W) bool: for half of the images a box of 2 to 40 % of the area."""
    boxes = torch.zeros(shape, dtype=torch.bool)
    _, height, width = shape
    for i in range(shape[0]):
        chance, area, aspect, row, column = torch.rand(5).tolist()
        if chance >= CUTMIX_CHANCE:
            continue
        side = ((0.02 + 0.38 * area) * height * width) ** 0.5
        ratio = (0.3 * (1 / 0.3 / 0.3) ** aspect) ** 0.5
        tall, wide = min(height, round(side * ratio)), min(width, round(side / ratio))
        top, left = round(row * (height - tall)), round(column * (width - wide))
        boxes[i, top : top + tall, left : left + wide] = True
    return boxes


UNIMATCH = Method(PerturbedUNet, WeakToStrong, strong_views=2)
