from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_crii.benchmark.few_labels import (
    centre_field,
    mean_shape,
    object_contrast,
    pooled_dice,
    score_slices,
    split_patients,
)
from napari_crii.errors import TrainingError
from napari_crii.metrics import dice
from napari_crii.training import TrainingSlice
from tests.factories import disc_slice


def cohort(patients: int = 10, slices: int = 3) -> list[TrainingSlice]:
    rng = np.random.default_rng(0)
    return [
        disc_slice(rng, patient=f"p{i}", brightness=0.2 + 0.2 * i)
        for i in range(patients)
        for _ in range(slices)
    ]


def people(data: list[TrainingSlice]) -> set[str]:
    return {item.patient for item in data}


def test_no_patient_is_in_two_parts_and_each_is_tested_once() -> None:
    data, tested = cohort(), []
    for fold in range(5):
        split = split_patients(data, 0.25, 0, fold, 5)
        parts = [people(p) for p in (split.labelled, split.unlabelled, split.tested)]
        assert len(set.union(*parts)) == sum(len(p) for p in parts) == 10
        assert len(parts[0]) == 2
        tested += sorted(parts[2])
    assert sorted(tested) == sorted(people(data))


def test_draws_change_who_is_labelled_and_never_who_is_tested() -> None:
    splits = [split_patients(cohort(), 0.04, draw, 1, 5) for draw in range(6)]
    assert len({frozenset(people(s.tested)) for s in splits}) == 1
    assert all(len(people(s.labelled)) == 1 for s in splits)
    assert len({frozenset(people(s.labelled)) for s in splits}) > 1


def test_the_pool_is_seen_without_its_labels() -> None:
    split = split_patients(cohort(), 0.1, 0, 0, 5)
    for item in split.training[len(split.labelled) :]:
        assert not bool(item.weight.any())
        assert not bool(item.label.any())
    assert all(bool(item.label.any()) for item in split.unlabelled)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((0.0, 0, 0, 5), "share 0.0 does not lie"),
        ((1.0, 0, 0, 5), "all 8 training patients are labelled"),
        ((0.1, 0, 5, 5), "no fold 5"),
        ((0.1, 0, 0, 11), "10 patients cannot be dealt to 11 folds"),
    ],
)
def test_what_cannot_be_split_is_refused(arguments, said: str) -> None:
    with pytest.raises(TrainingError, match=said):
        split_patients(cohort(), *arguments)
    blank = [replace(s, label=torch.zeros_like(s.label)) for s in cohort()]
    with pytest.raises(TrainingError, match="show no foreground"):
        split_patients(blank, 0.1, 0, 0, 5)


@pytest.mark.parametrize("shape", [(20, 50), (33, 33), (48, 31), (32, 32)])
def test_the_field_is_central_and_padded_without_weight(shape: tuple[int, int]) -> None:
    image = torch.arange(float(shape[0] * shape[1])).view(1, *shape)
    item = TrainingSlice(image, torch.ones(shape).long(), torch.ones(shape))
    field = centre_field(item, 32)
    assert field.image.shape == (1, 32, 32)
    assert field.label.shape == field.weight.shape == (32, 32)
    top, left = ((n - 32) // 2 for n in shape)
    for row in range(32):
        for column in range(32):
            i, j = row + top, column + left
            inside = 0 <= i < shape[0] and 0 <= j < shape[1]
            assert bool(field.weight[row, column]) == inside
            i, j = min(max(i, 0), shape[0] - 1), min(max(j, 0), shape[1] - 1)
            assert field.image[0, row, column] == image[0, i, j]


def test_the_mean_shape_is_the_majority() -> None:
    data = cohort(3, 1)
    expected = sum(s.label for s in data) * 2 > 3
    assert torch.equal(mean_shape(data, 2), expected.long())


def test_a_perfect_segmentation_scores_best_and_none_worst() -> None:
    data = cohort(4)
    truth = {id(s.image): s.label for s in data}
    best = score_slices(data, lambda image: truth[id(image)], 2)
    assert [best[k] for k in ("dice", "hard_dice", "boundary_dice", "nsd1", "nsd2", "hd95")] == [
        1, 1, 1, 1, 1, 0,
    ]  # fmt: skip
    worst = score_slices(data, lambda image: torch.zeros_like(image[0]).long(), 2)
    assert worst["dice"] == worst["hard_dice"] == worst["nsd2"] == 0
    assert worst["hd95"] == pytest.approx(np.hypot(56, 64), abs=1e-3)


def test_a_patients_dice_pools_slices_and_the_mean_is_over_patients() -> None:
    data = cohort(3)
    shifted = {id(s.image): s.label.roll(3, dims=1) for s in data}
    scores = score_slices(data, lambda image: shifted[id(image)], 2)
    expected = {}
    for patient in people(data):
        own = [s for s in data if s.patient == patient]
        guess = np.stack([shifted[id(s.image)].numpy() for s in own])
        expected[patient] = dice(guess, np.stack([s.label.numpy() for s in own]))
    assert scores["patients"] == pytest.approx(expected, abs=1e-4)
    assert scores["dice"] == pytest.approx(np.mean(list(expected.values())), abs=1e-4)
    assert scores["dice_per_class"] == [scores["dice"]]
    assert scores["boundary_dice"] < scores["dice"]


def test_hard_slices_are_those_of_lowest_contrast() -> None:
    data = cohort(3, 1)
    contrasts = [object_contrast(s, s.label.numpy() > 0) for s in data]
    assert contrasts[0] == min(contrasts)
    truth = {id(s.image): s.label for s in data}
    truth[id(data[0].image)] = torch.zeros_like(data[0].label)
    scores = score_slices(data, lambda image: truth[id(image)], 2)
    assert scores["hard_dice"] == 0
    assert scores["patients_hard_dice"] == {data[0].patient: 0}


def test_surfaces_and_hard_objects_by_patient_agree_with_the_means_over_slices() -> None:
    data = cohort(4, 3)
    shifted = {id(s.image): s.label.roll(i, dims=1) for i, s in enumerate(data)}
    scores = score_slices(data, lambda image: shifted[id(image)], 2)
    surfaces = scores["patients_nsd1"]
    assert isinstance(surfaces, dict)
    assert set(surfaces) == people(data)
    # As many slices each.
    assert np.mean(list(surfaces.values())) == pytest.approx(scores["nsd1"], abs=1e-4)
    contrasts = sorted((object_contrast(s, s.label.numpy() > 0), i) for i, s in enumerate(data))
    expected: dict[str, list[float]] = {}
    for _, i in contrasts[: len(data) // 3]:
        guess = shifted[id(data[i].image)].numpy() > 0
        score = dice(guess, data[i].label.numpy() > 0)
        expected.setdefault(data[i].patient, []).append(score)
    means = {name: np.mean(found) for name, found in expected.items()}
    assert scores["patients_hard_dice"] == pytest.approx(means, abs=1e-4)


def test_pixels_that_nobody_annotated_are_not_scored() -> None:
    item = cohort(1, 1)[0]
    weight = torch.ones_like(item.weight)
    weight[:, 32:] = 0
    cut = replace(item, weight=weight)
    guess = torch.where(weight > 0, item.label, 1 - item.label)
    scores = score_slices([cut], lambda image: guess, 2)
    names = ("dice", "hard_dice", "boundary_dice", "nsd1", "nsd2", "hd95")
    assert [scores[name] for name in names] == [1, 1, 1, 1, 1, 0]


def test_a_class_that_a_patient_neither_has_nor_is_given_says_nothing_of_it() -> None:
    data = cohort(2, 2)
    for item in data[2:]:
        item.label[item.label > 0] = 2
    truth = {id(s.image): s.label for s in data}
    # Of the first patient nothing is found, and class 2 is invented for the second.
    truth[id(data[0].image)] = truth[id(data[1].image)] = torch.zeros_like(data[0].label)
    scores = score_slices(data, lambda image: truth[id(image)], 4)
    assert scores["dice_per_class"] == [0, 1, None]
    assert scores["patients"] == {"p0": 0, "p1": 1}
    assert scores["dice"] == scores["boundary_dice"] == 0.5
    assert pooled_dice(data, lambda image: truth[id(image)], 4) == 0.5
    truth[id(data[2].image)] = torch.full_like(data[2].label, 3)
    invented = score_slices(data, lambda image: truth[id(image)], 4)
    assert invented["dice_per_class"] == pytest.approx([0, 2 / 3, 0], abs=0.2)


def test_test_patients_without_foreground_are_refused() -> None:
    data = cohort(4, 1)
    tested = split_patients(data, 0.25, 0, 0, 4).tested
    for item in tested:
        item.label[:] = 0
    with pytest.raises(TrainingError, match="the test patients of draw 0, fold 0 show no foregr"):
        split_patients(data, 0.25, 0, 0, 4)
