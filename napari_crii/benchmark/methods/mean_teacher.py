"""Mean Teacher: Tarvainen and Valpola, NeurIPS 2017.

Consistency cost ``J(theta) = E || f(x, theta', eta') - f(x, theta, eta) ||^2`` (section 2), with
the ramp-up ``exp(-5 (1 - t / Tu)^2)`` and the weight 0.1 that segmentation papers use (SSL4MIS);
Tu is two fifths of the run, there the whole of it.
"""

from __future__ import annotations

from torch import Tensor

from napari_crii.benchmark.methods.backbone import UNet
from napari_crii.benchmark.methods.method import Method, Setting, supervised
from napari_crii.benchmark.methods.passes import both_streams, noisy, stream_of
from napari_crii.losses import gaussian_ramp
from napari_crii.training.objectives import Step

CONSISTENCY = 0.1
RAMP = 0.4


class MeanTeacher:
    """The student under strong augmentation imitates its average under noise."""

    def __init__(self, setting: Setting) -> None:
        self._pool_weight = setting.pool_weight

    def __call__(self, step: Step) -> Tensor:
        """Return supervision plus consistency."""
        rest = stream_of(step)
        said, guessed = both_streams(step, rest.strong[0])
        target: Tensor = step.taught(noisy(rest.weak)).softmax(dim=1)
        distance = (guessed.softmax(dim=1) - target).square().mean()
        weight = self._pool_weight * CONSISTENCY * gaussian_ramp(step.progress, RAMP)
        return supervised(said, step.batch.labelled) + weight * distance


MEAN_TEACHER = Method(UNet, MeanTeacher)
