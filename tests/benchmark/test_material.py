"""Material of the benchmarks: every patient in one fold, and a digest of what is learnt from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_crii.benchmark.material import deal_patients, material_digest
from napari_crii.errors import TrainingError
from tests.factories import disc_slice


@pytest.mark.parametrize(("count", "folds"), [(5, 5), (7, 3), (45, 5), (2, 2)])
def test_every_patient_is_dealt_to_one_fold(count: int, folds: int) -> None:
    patients = {f"p{i}" for i in range(count)}
    dealt = deal_patients(patients, folds, seed=1)
    assert len(dealt) == folds
    assert set().union(*dealt) == patients
    assert sum(len(fold) for fold in dealt) == count
    assert max(map(len, dealt)) - min(map(len, dealt)) <= 1


def test_the_seed_decides_how_they_are_dealt() -> None:
    patients = {f"p{i}" for i in range(20)}
    assert deal_patients(patients, 4, 0) == deal_patients(set(sorted(patients)), 4, 0)
    assert deal_patients(patients, 4, 0) != deal_patients(patients, 4, 1)


@pytest.mark.parametrize("folds", [1, 3])
def test_folds_without_patients_are_refused(folds: int) -> None:
    said = f"2 patients cannot be dealt to {folds} folds: choose a --fold-count of at most 2"
    with pytest.raises(TrainingError, match=said):
        deal_patients({"a", "b"}, folds, 0)


def test_one_patient_cannot_be_dealt() -> None:
    with pytest.raises(TrainingError, match=r"^1 patient cannot be dealt to 2 folds: two patients"):
        deal_patients({"a"}, 2, 0)


def test_the_digest_is_of_patients_pixels_and_labels_and_of_their_order() -> None:
    rng = np.random.default_rng(0)
    one, two = (disc_slice(rng, (16, 20), patient=name) for name in "ab")
    digest = material_digest([one, two])
    assert digest == material_digest([replace(one, image=one.image.clone()), two])
    others = [
        [two, one],
        [one],
        [replace(one, patient="c"), two],
        [replace(one, image=one.image + 1), two],
        [replace(one, label=1 - one.label), two],
    ]
    assert len({digest, *map(material_digest, others)}) == 1 + len(others)
