from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from napari_crii.benchmark.methods import METHODS, Setting, unimatch
from napari_crii.benchmark.methods.unimatch import PerturbedUNet, cutmix_boxes
from tests.benchmark.methods import by_hand


def test_without_confidence_only_labels_teach(step_of) -> None:
    step = step_of("unimatch")
    supervised = METHODS["supervised_strong"].objective(Setting(2))(step)
    found = METHODS["unimatch"].objective(Setting(2))(step)
    assert float(found.detach()) == pytest.approx(0.5 * float(supervised.detach()), rel=1e-5)
    with torch.no_grad():
        step.student.head.bias += torch.tensor([9.0, 0.0])
    sure = METHODS["unimatch"].objective(Setting(2))(step)
    supervised = METHODS["supervised_strong"].objective(Setting(2))(step)
    assert float(sure.detach()) > 0.5 * float(supervised.detach()) + 1e-6


def test_boxes_cover_at_most_two_fifths_of_half_of_the_images() -> None:
    areas = cutmix_boxes(torch.Size((400, 64, 64))).float().mean((1, 2))
    assert 0.4 < float((areas > 0).float().mean()) < 0.6
    assert 0.38 < float(areas.max()) <= 0.42
    assert float(areas[areas > 0].min()) > 0.01


def test_dropped_features_change_the_last_images_only(build) -> None:
    network, images = build(METHODS["unimatch"]), torch.randn(3, 1, 32, 32)
    plain, dropped = network.perturbed(images, 2)
    torch.testing.assert_close(plain, network(images))
    assert not torch.allclose(dropped, plain[1:])


@pytest.mark.parametrize(("progress", "pool"), by_hand.MOMENTS)
def test_the_loss_equals_its_formula(
    sure_step, monkeypatch: pytest.MonkeyPatch, progress: float, pool: float
) -> None:
    step = sure_step("unimatch", progress, gain=30.0)
    student, labelled, rest = step.student, step.batch.labelled, step.batch.unlabelled
    boxes = torch.zeros(2, 2, 32, 32, dtype=torch.bool)
    boxes[0, 0, 2:22, 5:25] = boxes[1, 0, 9:30, :12] = boxes[1, 1, 12:31, 14:32] = True
    drawn = iter(boxes)
    monkeypatch.setattr(unimatch, "cutmix_boxes", lambda _: next(drawn))
    p = by_hand.softmax(student(rest.weak))
    sure, pseudo = torch.from_numpy(p.max(axis=1) >= 0.95), torch.from_numpy(p.argmax(axis=1))
    assert 0.2 < float(sure.double().mean()) < 0.8
    assert len(pseudo[sure].unique()) == 3
    torch.manual_seed(1)
    missed = [0.5 * by_dice(channels_dropped(student, rest.weak), pseudo, sure)]
    for view, box in zip(rest.strong, boxes, strict=True):
        image, label, certain = (cut_in(part, box) for part in (view, pseudo, sure))
        missed.append(0.5 / 2 * by_dice(student(image), label, certain))
    assert min(missed) > 0.01
    said = by_hand.supervised(student(labelled.images), labelled)
    torch.manual_seed(1)
    found = METHODS["unimatch"].objective(Setting(3, pool_weight=pool))(step)
    expected = (said + pool * sum(missed)) / 2
    assert float(found.detach()) == pytest.approx(expected, rel=1e-4)


def by_dice(logits: Tensor, labels: Tensor, certain: Tensor) -> float:
    return by_hand.dice_loss(by_hand.softmax(logits), labels.numpy(), certain.double().numpy())


def cut_in(part: Tensor, box: Tensor) -> Tensor:
    """Take the other crop of two inside the box."""
    return torch.stack([torch.where(inside, part[1 - i], part[i]) for i, inside in enumerate(box)])


def channels_dropped(network: PerturbedUNet, images: Tensor) -> Tensor:
    """Set half of the channels of every scale to nought, and double the others."""
    features = network.encoder(images)
    kept = [functional.dropout2d(torch.ones_like(f), 0.5) for f in features]
    pairs = zip(features, kept, strict=True)
    logits: Tensor = network.head(network.decoder([f * k for f, k in pairs])[-1])
    return logits
