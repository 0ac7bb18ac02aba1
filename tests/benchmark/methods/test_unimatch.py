from __future__ import annotations

import pytest
import torch

from napari_crii.benchmark.methods import METHODS, Setting
from napari_crii.benchmark.methods.unimatch import cutmix_boxes


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
