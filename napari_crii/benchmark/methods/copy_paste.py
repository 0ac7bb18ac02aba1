"""Copy-paste between labelled slices: the control for methods that mix.

It is the pre-training of BCP (Bai et al., CVPR 2023, section 3.2) for the whole run.
"""

from __future__ import annotations

from torch import Tensor

from napari_crii.benchmark.methods.backbone import UNet
from napari_crii.benchmark.methods.method import Method, Setting, supervised
from napari_crii.training.mixing import paste, random_box
from napari_crii.training.objectives import Step
from napari_crii.training.streams import Labelled

BOX = 2 / 3


class CopyPaste:
    """A box of one labelled crop pasted into another."""

    def __init__(self, setting: Setting) -> None:
        del setting

    def __call__(self, step: Step) -> Tensor:
        """Return the supervised loss of mixed crops."""
        mixed = pasted_into_neighbours(step.batch.labelled)
        return supervised(step.passed(step.student, mixed.images), mixed)


def pasted_into_neighbours(labelled: Labelled) -> Labelled:
    """Paste a box of each crop into the next one of the batch."""
    height, width = labelled.labels.shape[1:]
    box = random_box((height, width), BOX).to(labelled.labels.device)
    return Labelled(
        *(
            paste(part, part.roll(1, dims=0), box)
            for part in (labelled.images, labelled.labels, labelled.weights)
        )
    )


COPY_PASTE = Method(UNet, CopyPaste, unlabelled=False)
