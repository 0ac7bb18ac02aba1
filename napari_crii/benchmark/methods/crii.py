"""Ours: the presets `faithful` and `plus`, and `plus` without or with one ingredient."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from napari_crii.benchmark.methods.method import Method, Setting
from napari_crii.networks import CRIINet
from napari_crii.training.method import FAITHFUL, PLUS, MethodConfig
from napari_crii.training.objectives import CoarseRefined, Objective


def crii_method(config: MethodConfig) -> Method:
    """Return CRII-Net trained by a configuration; the refined output is tested."""

    def objective(setting: Setting) -> Objective:
        own = replace(config, largest_component=setting.largest_component)
        return CoarseRefined(own, setting.classes, setting.mirror_axes)

    return Method(CRIINet, objective, unlabelled=config.unlabelled, logits=refined_logits)


def refined_logits(network: CRIINet, images: Tensor) -> Tensor:
    """Return the refined output."""
    logits: Tensor = network(images).refined
    return logits


CRII = {
    "faithful": crii_method(FAITHFUL),
    "plus": crii_method(PLUS),
    "crii_sup": crii_method(MethodConfig()),
    "plus_without_fading": crii_method(replace(PLUS, low_contrast=0.0)),
    "plus_without_beside": crii_method(replace(PLUS, beside=False)),
    # Pseudo-labels are learnt in mixed crops only, so they go, too.
    "plus_without_mixing": crii_method(replace(PLUS, mixing=False, unlabelled=False)),
    "plus_without_unlabelled": crii_method(replace(PLUS, unlabelled=False)),
    "plus_without_agreement": crii_method(replace(PLUS, agreement=(0.0, 1e-6))),
    "plus_four_views": crii_method(replace(PLUS, views=4)),
    "plus_without_intra": crii_method(replace(PLUS, intra=0.0)),
    "plus_without_inter": crii_method(replace(PLUS, inter=0.0)),
    "plus_without_ranked": crii_method(replace(PLUS, intra=0.0, inter=0.0)),
    # Nothing else is learnt from the pool.
    "faithful_without_consistency": crii_method(
        replace(FAITHFUL, consistency=0.0, unlabelled=False)
    ),
    "faithful_without_intra": crii_method(replace(FAITHFUL, intra=0.0)),
    "faithful_without_inter": crii_method(replace(FAITHFUL, inter=0.0)),
    "faithful_without_ranked": crii_method(replace(FAITHFUL, intra=0.0, inter=0.0)),
    "faithful_faded": crii_method(replace(FAITHFUL, intra=0.0, inter=0.0, low_contrast=0.5)),
}
