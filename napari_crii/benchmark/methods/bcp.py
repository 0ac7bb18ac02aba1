"""Bidirectional copy-paste: Bai et al., CVPR 2023.

Section 3.2: labelled crops pasted into each other at first. Eq. 2 and 3: then a box (2/3 of the
side) of a labelled crop into an unlabelled one and the reverse. Section 3.4: the averaged network
gives pseudo-labels, of which the largest component stays where one object is said to be there.
Eq. 7: pseudo-labels weigh 0.5. Both mixtures share one mean, and the first third of the run learns
from labels alone; in the authors' code the two means are added, after a quarter or an eighth.
"""

from __future__ import annotations

import torch
from torch import Tensor

from napari_crii.benchmark.methods.backbone import UNet
from napari_crii.benchmark.methods.copy_paste import BOX, pasted_into_neighbours
from napari_crii.benchmark.methods.method import Method, Setting, supervised
from napari_crii.benchmark.methods.passes import stream_of
from napari_crii.losses import segmentation_loss
from napari_crii.training.mixing import largest_components, paste, random_box
from napari_crii.training.objectives import Step

PRETRAINING = 1 / 3
PSEUDO_WEIGHT = 0.5


class BidirectionalCopyPaste:
    """Half of the crops have a labelled box, half a labelled frame."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting

    def __call__(self, step: Step) -> Tensor:
        """Return the loss of mixed crops."""
        if step.progress < PRETRAINING:
            mixed = pasted_into_neighbours(step.batch.labelled)
            return supervised(step.passed(step.student, mixed.images), mixed)
        labelled, rest = step.batch.labelled, stream_of(step)
        pseudo = self.pseudo_labels(step, rest.weak)
        height, width = pseudo.shape[1:]
        box = random_box((height, width), BOX).to(pseudo.device)
        half = torch.arange(len(pseudo), device=pseudo.device)[:, None, None] < len(pseudo) // 2
        human = box[None] == half
        logits = step.passed(step.student, paste(labelled.images, rest.strong[0], human[:, None]))
        said = segmentation_loss(logits, labelled.labels, labelled.weights * human)
        guessed = segmentation_loss(logits, pseudo, (~human).float())
        return 0.5 * (said + self._setting.pool_weight * PSEUDO_WEIGHT * guessed)

    def pseudo_labels(self, step: Step, weak: Tensor) -> Tensor:
        """Return the teacher's labels (B, H, W)."""
        labels: Tensor = step.taught(weak).argmax(dim=1)
        if self._setting.largest_component:
            labels = largest_components(labels, self._setting.classes)
        return labels


BCP = Method(UNet, BidirectionalCopyPaste)
