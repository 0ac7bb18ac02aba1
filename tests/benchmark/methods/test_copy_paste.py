from __future__ import annotations

import pytest
import torch

from napari_crii.benchmark.methods import METHODS, Setting, copy_paste
from napari_crii.benchmark.methods.copy_paste import pasted_into_neighbours
from napari_crii.training.streams import Labelled
from tests.benchmark.methods import by_hand


def test_image_label_and_weight_change_places_together() -> None:
    images = torch.arange(3.0)[:, None, None, None].expand(3, 1, 9, 9)
    labels = images[:, 0].long()
    mixed = pasted_into_neighbours(Labelled(images, labels, images[:, 0] / 2))
    assert torch.equal(mixed.images[:, 0].long(), mixed.labels)
    assert torch.equal(mixed.images[:, 0] / 2, mixed.weights)
    for i, label in enumerate(mixed.labels):
        assert sorted(label.unique().tolist()) == sorted({i, (i - 1) % 3})
        assert int((label == i).sum()) == 36


@pytest.mark.parametrize(("progress", "pool"), by_hand.MOMENTS)
def test_the_loss_equals_its_formula(
    sure_step, monkeypatch: pytest.MonkeyPatch, progress: float, pool: float
) -> None:
    step = sure_step("copy_paste", progress)
    one = step.batch.labelled
    box = torch.zeros(32, 32, dtype=torch.bool)
    box[3:24, 7:28] = True
    monkeypatch.setattr(copy_paste, "random_box", lambda *_: box)
    images, labels, weights = (
        torch.stack([torch.where(box, part[i], part[1 - i]) for i in (0, 1)])
        for part in (one.images, one.labels, one.weights)
    )
    assert not torch.equal(labels, one.labels)
    expected = by_hand.cross_entropy_and_dice(step.student(images), labels, weights) / 2
    found = METHODS["copy_paste"].objective(Setting(3, pool_weight=pool))(step)
    assert float(found.detach()) == pytest.approx(expected, rel=1e-4)
