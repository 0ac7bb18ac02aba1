from __future__ import annotations

import torch

from napari_crii.benchmark.methods.copy_paste import pasted_into_neighbours
from napari_crii.training.streams import Labelled


def test_image_label_and_weight_change_places_together() -> None:
    images = torch.arange(3.0)[:, None, None, None].expand(3, 1, 9, 9)
    labels = images[:, 0].long()
    mixed = pasted_into_neighbours(Labelled(images, labels, images[:, 0] / 2))
    assert torch.equal(mixed.images[:, 0].long(), mixed.labels)
    assert torch.equal(mixed.images[:, 0] / 2, mixed.weights)
    for i, label in enumerate(mixed.labels):
        assert sorted(label.unique().tolist()) == sorted({i, (i - 1) % 3})
        assert int((label == i).sum()) == 36
