"""What one step minimises: the supervised loss, and the coarse-refined method around it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from napari_crii.device import autocast, laid_out
from napari_crii.losses import (
    DescriptorMemory,
    agreement_weight,
    branch_consistency,
    gaussian_ramp,
    inter_patch_loss,
    intra_patch_loss,
    linear_ramp,
    segmentation_loss,
    view_agreement,
)
from napari_crii.networks import BranchLogits
from napari_crii.networks.parts import pass_in_parts
from napari_crii.training.method import MethodConfig
from napari_crii.training.mixing import fade, largest_components, paste, random_box
from napari_crii.training.streams import Batch, Labelled, Unlabelled

Result = TypeVar("Result")
_VIEWS: tuple[tuple[int, ...], ...] = ((), (-2,), (-1,), (-2, -1))


@dataclass(frozen=True, eq=False)
class Step:
    """One step, as an objective sees it.

    Attributes
    ----------
    student, teacher
        The network that learns, and the moving average of its weights, in evaluation mode.
    batch
        Crops, on the device of both.
    progress
        Share of the run that is done, 0 to 1.
    mixed_precision
        Whether passes through networks may compute in 16 bits.
    """

    student: Any
    teacher: Any
    batch: Batch
    progress: float
    mixed_precision: bool = False

    def passed(self, function: Callable[..., Result], *images: Tensor, **settings: Any) -> Result:
        """Pass images through a network; every tensor returned is float32."""
        with autocast(images[0].device, self.mixed_precision):
            result = function(*map(laid_out, images), **settings)
        floats: Result = _floats(result)
        return floats

    def learnt(self, images: Tensor) -> tuple[BranchLogits, Tensor]:
        """Pass images through the student in parts; return its logits and pixel features."""

        def logits_and_features(part: Tensor) -> tuple[Tensor, ...]:
            logits, features = self.passed(self.student.forward_with_features, part)
            return (*logits, features)

        coarse, refined, features = pass_in_parts(
            logits_and_features, images, self.student.parameters()
        )
        return BranchLogits(coarse, refined), features

    def taught(self, *images: Tensor, **settings: Any) -> Any:
        """Pass images through the teacher, without gradients."""
        with torch.no_grad():
            return self.passed(self.teacher, *images, **settings)


class Objective(Protocol):
    """What a step minimises; chance is torch's own, which the loop seeds."""

    def __call__(self, step: Step) -> Tensor:
        """Return the loss, a scalar with a graph."""
        ...


class CoarseRefined:
    """The objective of `MethodConfig`; keeps the memory of the inter-patch loss.

    Parameters
    ----------
    classes
        Number of classes, background included.
    mirror_axes
        In-plane axes along which a mirrored slice is still one of its kind: views for
        pseudo-labels are mirrored along no others.
    """

    def __init__(
        self, config: MethodConfig, classes: int, mirror_axes: tuple[int, ...] = (0, 1)
    ) -> None:
        self._config = config
        self._classes = classes
        seen = (view for view in _VIEWS if all(axis + 2 in mirror_axes for axis in view))
        self._views = tuple(seen)[: config.views]
        self._memory = DescriptorMemory(config.ranked.memory)

    def __call__(self, step: Step) -> Tensor:
        """Return the loss of a batch with or without unlabelled crops."""
        labelled = self._faded(step.batch.labelled)
        if self._config.mixing:
            loss = self._mixed(step, labelled)
        else:
            loss = self._side_by_side(step, labelled)
        return loss

    def _side_by_side(self, step: Step, labelled: Labelled) -> Tensor:
        """Learn labelled and unlabelled crops in one pass: supervision and consistency."""
        rest = step.batch.unlabelled if self._config.consistency else None
        images, labels, weights = labelled.images, labelled.labels, labelled.weights
        if rest is not None:
            images = torch.cat([images, rest.strong[0] if len(rest.strong) else rest.weak])
            labels, weights = torch.cat([labels, rest.labels]), torch.cat([weights, rest.weights])
        logits, features = step.learnt(images)
        loss = both_branches(logits, labels, weights)
        if rest is not None:
            ramp = gaussian_ramp(step.progress, self._config.consistency_ramp)
            unsaid = 1 - weights
            loss = loss + self._config.consistency * ramp * branch_consistency(
                logits.coarse, logits.refined, unsaid
            )
        count = len(labelled.images)
        first = BranchLogits(logits.coarse[:count], logits.refined[:count])
        return loss + self._ranked(step, labelled, first, features[:count])

    def _mixed(self, step: Step, labelled: Labelled) -> Tensor:
        """Learn crops pasted into each other (Bai et al., BCP, CVPR 2023)."""
        rest = step.batch.unlabelled
        if rest is None or step.progress < self._config.labelled_only:
            other, certainty = _rolled(labelled), torch.ones_like(labelled.weights)
        else:
            other, certainty = self._pseudo_labelled(step, rest)
        mixed, weights = self._pasted(labelled, other, certainty)
        if self._config.beside:
            mixed, weights = _joined(labelled, mixed), torch.cat([labelled.weights, weights])
        logits, features = step.learnt(mixed.images)
        loss = both_branches(logits, mixed.labels, mixed.weights * weights)
        # The ranked losses see what a human said only.
        sure = mixed.weights * (weights >= 1)
        return loss + self._ranked(
            step, Labelled(mixed.images, mixed.labels, sure), logits, features
        )

    def _pasted(self, one: Labelled, other: Labelled, certainty: Tensor) -> tuple[Labelled, Tensor]:
        """Paste half of one stream into the other, and the reverse; return what counts how much."""
        count = min(len(one.images), len(other.images))
        box = random_box((one.labels.shape[1], one.labels.shape[2]), self._config.box)
        box = box.to(one.labels.device)
        inside = torch.arange(count, device=box.device)[:, None, None] < (count + 1) // 2
        from_one = box[None] == inside
        mixed = Labelled(
            paste(one.images[:count], other.images[:count], from_one[:, None]),
            paste(one.labels[:count], other.labels[:count], from_one),
            paste(one.weights[:count], other.weights[:count], from_one),
        )
        return mixed, paste(torch.ones_like(certainty[:count]), certainty[:count], from_one)

    def _pseudo_labelled(self, step: Step, rest: Unlabelled) -> tuple[Labelled, Tensor]:
        """Return unlabelled crops with the teacher's labels, and how much each pixel counts."""
        labels, agreement = self.pseudo_labels(step, rest.weak)
        trust = agreement_weight(agreement, *self._config.agreement) * self._config.pseudo_weight
        said = rest.weights > 0
        certainty = torch.where(said, torch.ones_like(rest.weights), trust[:, None, None])
        labels = torch.where(said, rest.labels, labels)
        weights = torch.where(said, rest.weights, torch.ones_like(rest.weights))
        images = rest.strong[0] if len(rest.strong) else rest.weak
        return Labelled(images, labels, weights), certainty

    def pseudo_labels(self, step: Step, weak: Tensor) -> tuple[Tensor, Tensor]:
        """Return labels (B, H, W) of the mean of mirrored views, and how well these agree (B,).

        Both branches are asked; the labels are those of the refined one.
        """
        views = self._views
        images = torch.cat([weak.flip(axes) if axes else weak for axes in views])
        coarse, refined = (
            self._turned_back(torch.unflatten(logits.softmax(dim=1), 0, (len(views), len(weak))))
            for logits in pass_in_parts(step.taught, images)
        )
        said = torch.cat([coarse.argmax(dim=2), refined.argmax(dim=2)])
        agreement = view_agreement(said, self._classes)
        labels = refined.mean(dim=0).argmax(dim=1)
        if self._config.largest_component:
            labels = largest_components(labels, self._classes)
        return labels, agreement

    def _turned_back(self, seen: Tensor) -> Tensor:
        """Mirror what was seen of each view (V, B, K, H, W) back."""
        pairs = zip(seen, self._views, strict=True)
        return torch.stack([one.flip(axes) if axes else one for one, axes in pairs])

    def _faded(self, labelled: Labelled) -> Labelled:
        if self._config.low_contrast == 0:
            return labelled
        low, high = self._config.fading
        count, device = len(labelled.images), labelled.images.device
        left = low + (high - low) * torch.rand(count, device=device)
        chosen = torch.rand(count, device=device) < self._config.low_contrast
        left = torch.where(chosen, left, torch.ones_like(left))
        images = fade(labelled.images, labelled.labels, labelled.weights, left, self._classes)
        return Labelled(images, labelled.labels, labelled.weights)

    def _ranked(
        self, step: Step, labelled: Labelled, logits: BranchLogits, features: Tensor
    ) -> Tensor:
        """Return the weighted ranked losses; a plain zero while they do not act."""
        config, embed = self._config, step.student.embed
        ramp = linear_ramp(step.progress, config.ranked_from, config.ranked_full)
        loss = features.new_zeros(())
        if ramp > 0 and config.intra > 0:
            intra = intra_patch_loss(
                embed, features, logits.refined, labelled.labels, labelled.weights, config.ranked
            )
            loss = loss + ramp * config.intra * intra
        if ramp > 0 and config.inter > 0:
            inter = inter_patch_loss(
                embed, features, labelled.images, labelled.labels, labelled.weights,
                self._memory, config.ranked, self._classes,
            )  # fmt: skip
            loss = loss + ramp * config.inter * inter
        return loss


def both_branches(logits: BranchLogits, labels: Tensor, weights: Tensor) -> Tensor:
    """Return the segmentation loss, equally of both branches."""
    coarse = segmentation_loss(logits.coarse, labels, weights)
    return coarse + segmentation_loss(logits.refined, labels, weights)


def _joined(one: Labelled, other: Labelled) -> Labelled:
    """Return the crops of both."""
    return Labelled(
        torch.cat([one.images, other.images]),
        torch.cat([one.labels, other.labels]),
        torch.cat([one.weights, other.weights]),
    )


def _rolled(labelled: Labelled) -> Labelled:
    """Return the same crops, each in the place of its neighbour."""
    parts = (labelled.images, labelled.labels, labelled.weights)
    return Labelled(*(part.roll(1, dims=0) for part in parts))


def _floats(result: Any) -> Any:
    """Return tensors, alone or in tuples, as float32."""
    if isinstance(result, Tensor):
        return result.float()
    if isinstance(result, tuple):
        parts = [_floats(part) for part in result]
        return type(result)(*parts) if hasattr(result, "_fields") else tuple(parts)
    if isinstance(result, list):
        return [_floats(part) for part in result]
    return result
