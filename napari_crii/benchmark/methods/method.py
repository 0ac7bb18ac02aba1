"""What a method that is compared consists of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from napari_crii.losses import segmentation_loss
from napari_crii.networks import NetworkConfig
from napari_crii.training.objectives import Objective
from napari_crii.training.streams import Labelled


@dataclass(frozen=True)
class Setting:
    """What every method of one comparison is told.

    Attributes
    ----------
    classes
        Number of classes, background included.
    largest_component
        Whether each class is one connected object, so that methods whose paper cleans its
        pseudo-labels so may do it.
    mirror_axes
        In-plane axes along which slices may be mirrored.
    pool_weight
        What the weight of all that is learnt from unlabelled crops is multiplied with; ours have
        settings of their own instead.
    """

    classes: int
    largest_component: bool = False
    mirror_axes: tuple[int, ...] = (0, 1)
    pool_weight: float = 1.0


def only_logits(network: nn.Module, images: Tensor) -> Tensor:
    """Return the logits of a network that has nothing else to say."""
    logits: Tensor = network(images)
    return logits


@dataclass(frozen=True)
class Method:
    """One method.

    Attributes
    ----------
    network
        Builds the network; its initial weights are drawn from torch's own chance.
    objective
        Builds what each step minimises.
    unlabelled
        Whether batches have an unlabelled stream.
    strong_views
        Strong views of each unlabelled crop.
    all_labels
        Whether every training patient is labelled.
    weak
        Whether labelled crops are augmented weakly.
    logits
        The logits (B, K, H, W) that are tested.
    """

    network: Callable[[NetworkConfig], nn.Module]
    objective: Callable[[Setting], Objective]
    unlabelled: bool = True
    strong_views: int = 1
    all_labels: bool = False
    weak: bool = False
    logits: Callable[[Any, Tensor], Tensor] = only_logits


def weighted(method: Method, factor: float) -> Method:
    """Return a method that learns `factor` times as much from unlabelled crops."""

    def objective(setting: Setting) -> Objective:
        return method.objective(replace(setting, pool_weight=factor * setting.pool_weight))

    return replace(method, objective=objective)


def supervised(logits: Tensor, labelled: Labelled) -> Tensor:
    """Return half the sum of cross-entropy and Dice, as the compared papers weigh them."""
    return 0.5 * segmentation_loss(logits, labelled.labels, labelled.weights)
