from __future__ import annotations

import pytest

from napari_crii.benchmark.methods import METHODS, Setting
from napari_crii.losses import segmentation_loss


@pytest.mark.parametrize("name", ["supervised_weak", "supervised_strong", "full"])
def test_it_is_half_of_cross_entropy_plus_dice(step_of, name: str) -> None:
    step = step_of(name)
    part = step.batch.labelled
    expected = segmentation_loss(step.student(part.images), part.labels, part.weights)
    found = METHODS[name].objective(Setting(2))(step)
    assert float(found.detach()) == pytest.approx(0.5 * float(expected.detach()), rel=1e-5)
    assert METHODS[name].weak == (name == "supervised_weak")
    assert METHODS[name].all_labels == (name == "full")
