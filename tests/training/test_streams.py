from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_crii.errors import TrainingError
from napari_crii.training import TrainingConfig, TrainingSlice
from napari_crii.training.method import FAITHFUL, PLUS
from napari_crii.training.streams import StreamSampler, require_slices, without_labels
from tests.factories import disc_slice

SETTINGS = TrainingConfig(iterations=4, batch=4, crop=32, method=PLUS)


def labelled(count: int = 2, **changes: object) -> list[TrainingSlice]:
    rng = np.random.default_rng(3)
    return [disc_slice(rng, **changes) for _ in range(count)]  # type: ignore[arg-type]


def sampler(
    data: list[TrainingSlice], config: TrainingConfig = SETTINGS, strong: int = 1
) -> StreamSampler:
    return StreamSampler(data, config, np.random.default_rng(0), strong)


def test_half_of_every_batch_is_labelled() -> None:
    data = labelled()
    batch = sampler(data + without_labels(labelled(7)), strong=2).draw()
    assert batch.labelled.images.shape == (4, 1, 32, 32)
    assert batch.unlabelled is not None
    assert batch.unlabelled.weak.shape == (4, 1, 32, 32)
    assert batch.unlabelled.strong.shape == (2, 4, 1, 32, 32)
    assert bool((batch.labelled.weights > 0).any())
    assert not bool(batch.unlabelled.weights.any())
    assert not torch.equal(batch.unlabelled.strong[0], batch.unlabelled.strong[1])


def test_a_strong_view_shows_the_place_of_its_weak_one() -> None:
    batch = sampler(labelled() + without_labels(labelled(3)), replace(SETTINGS, batch=8)).draw()
    assert batch.unlabelled is not None
    for weak, strong in zip(batch.unlabelled.weak, batch.unlabelled.strong[0], strict=True):
        both = torch.stack([weak.flatten(), strong.flatten()])
        assert float(torch.corrcoef(both)[0, 1]) > 0.5


def test_without_unlabelled_slices_or_the_wish_there_is_one_stream() -> None:
    assert sampler(labelled()).draw().unlabelled is None
    supervised = TrainingConfig(iterations=4, batch=2, crop=32)
    assert sampler(labelled() + without_labels(labelled()), supervised).draw().unlabelled is None


def test_a_partly_labelled_slice_is_in_both_streams_with_what_was_said() -> None:
    item = labelled(1)[0]
    weight = torch.ones_like(item.weight)
    weight[:, 32:] = 0
    batch = sampler([replace(item, weight=weight)]).draw()
    assert batch.unlabelled is not None
    assert bool((batch.unlabelled.weights == 1).any())
    assert bool((batch.unlabelled.weights == 0).any())


def test_slices_may_differ_in_size_and_be_smaller_than_a_crop() -> None:
    data = labelled(1, shape=(20, 90)) + labelled(1, shape=(70, 24))
    data += without_labels(labelled(1, shape=(17, 18)) + labelled(1, shape=(100, 33)))
    batch = sampler(data, replace(SETTINGS, batch=16)).draw()
    assert batch.labelled.images.shape == (16, 1, 32, 32)
    assert batch.unlabelled is not None
    assert bool(torch.isfinite(batch.unlabelled.weak).all())


def test_centred_crops_see_the_middle() -> None:
    middle = torch.zeros(80, 80)
    middle[38:42, 38:42] = 1
    item = TrainingSlice(middle[None], middle.long(), torch.ones(80, 80))
    config = replace(SETTINGS, batch=16, centred=True)
    batch = sampler([item, *without_labels([item])], config).draw()
    assert batch.unlabelled is not None
    assert all(bool(label.any()) for label in batch.labelled.labels)
    for image in batch.unlabelled.weak:
        row, column = divmod(int(image[0].argmax()), 32)
        assert abs(row - 15.5) < 8
        assert abs(column - 15.5) < 8


def test_weak_augmentation_changes_no_grey_value() -> None:
    item = TrainingSlice(
        torch.full((1, 40, 40), 3.0), torch.ones(40, 40).long(), torch.ones(40, 40)
    )
    weak = replace(SETTINGS, strong=False)
    images = sampler([item], weak).draw().labelled.images
    torch.testing.assert_close(images, torch.full_like(images, 3.0))
    changed = sampler([item]).draw().labelled.images
    assert float((changed - 3.0).abs().max()) > 0.05


@pytest.mark.parametrize("method", [PLUS, FAITHFUL])
def test_no_labelled_slice_is_refused(method: object) -> None:
    with pytest.raises(TrainingError, match="nothing is annotated"):
        require_slices(without_labels(labelled()), 1, 2)


def test_a_weighted_label_outside_the_classes_is_refused() -> None:
    item = labelled(1)[0]
    wrong = replace(item, label=torch.full_like(item.label, 4))
    with pytest.raises(TrainingError, match="label 4 is not one of the classes 0 to 1"):
        require_slices([wrong], 1, 2)
    unsaid = replace(wrong, weight=torch.zeros_like(item.weight))
    require_slices([item, unsaid], 1, 2)
