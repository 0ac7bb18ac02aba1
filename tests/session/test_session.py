from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from napari_crii.classes import numbered_classes
from napari_crii.patches import Box, Patch, Reason
from napari_crii.session import Case, Provenance, Session
from napari_crii.session.teaching import training_weights
from tests.factories import noise_scan

SHAPE = (4, 18, 23)


@pytest.fixture(params=[0, 1, 2])
def opened(request: pytest.FixtureRequest) -> tuple[Session, Case]:
    session = Session(numbered_classes(["a", "b"]), "r")
    return session, session.open(noise_scan(request.param, SHAPE))


def stroke(case: Case, index: int, row: int, column: int, label: int = 1) -> None:
    drawn = case.shown(index).copy()
    drawn[row, column] = label
    assert case.draw(index, drawn) is not None


def test_a_scan_is_one_case_however_often_it_is_opened() -> None:
    session = Session(numbered_classes(["a"]))
    first = session.open(noise_scan(0, SHAPE))
    assert session.open(noise_scan(0, SHAPE)) is first
    assert session.open(noise_scan(1, SHAPE)) is not first


def test_drawn_pixels_and_a_ring_of_three_around_them_count() -> None:
    provenance = np.zeros(SHAPE[1:], dtype=np.uint8)
    provenance[5, 9] = provenance[17, 0] = Provenance.DRAWN
    expected = np.zeros(SHAPE[1:])
    for row, column in product(range(SHAPE[1]), range(SHAPE[2])):
        steps = min(abs(row - r) + abs(column - c) for r, c in ((5, 9), (17, 0)))
        expected[row, column] = steps <= 3
    assert np.array_equal(training_weights(provenance), expected)


@pytest.mark.parametrize("kind", [Provenance.ACCEPTED, Provenance.SEED])
def test_what_was_accepted_counts_without_a_ring(kind: Provenance) -> None:
    provenance = np.zeros(SHAPE[1:], dtype=np.uint8)
    provenance[4:8, 5:9] = kind
    assert np.array_equal(training_weights(provenance), (provenance > 0).astype(float))
    assert not training_weights(np.zeros((5, 6), dtype=np.uint8)).any()


def test_a_snapshot_holds_what_humans_said_and_nothing_else(
    opened: tuple[Session, Case],
) -> None:
    session, case = opened
    case.take(0)
    stroke(case, 1, 5, 9, label=2)
    case.accept_slice(2)
    snapshot = session.snapshot(neighbours=1)
    assert len(snapshot.slices) == 2
    edited, accepted = snapshot.slices
    assert edited.weights.sum() == 25
    assert edited.labels[5, 9] == 2
    assert accepted.weights.all()
    assert not accepted.labels.any()
    voxels = case.volume.slices()
    for item, index in ((edited, 1), (accepted, 2)):
        assert np.array_equal(item.image, voxels[index - 1 : index + 2])
        assert item.stats == case.volume.intensity
        assert item.pixel_spacing == case.volume.pixel_spacing
        assert item.patient == case.volume.digest
        assert not item.replay


def test_a_snapshot_does_not_change_with_later_work() -> None:
    session = Session(numbered_classes(["a"]))
    case = session.open(noise_scan(0, SHAPE))
    case.accept_slice(0)
    frozen = session.snapshot().slices[0]
    stroke(case, 0, 3, 3)
    assert not frozen.labels.any()


def test_an_accepted_patch_counts_inside_its_box(opened: tuple[Session, Case]) -> None:
    session, case = opened
    case.accept_patch(Patch(3, Box(2, 4, 9, 14), 0.4, Reason.REGION))
    (item,) = session.snapshot().slices
    assert item.weights[2:9, 4:14].all()
    assert item.weights.sum() == 70


def test_learnt_slices_are_replayed_until_they_are_corrected_again(
    opened: tuple[Session, Case],
) -> None:
    session, case = opened
    case.accept_slice(0)
    stroke(case, 1, 5, 9)
    assert session.fresh_slices() == 1
    session.snapshot()
    case.accept_slice(3)
    session.mark_learned()
    assert session.fresh_slices() == 1, "slice 3 was accepted while training ran"
    assert [s.replay for s in session.snapshot().slices] == [True, False, False]
    session.mark_learned()
    assert session.fresh_slices() == 0
    stroke(case, 0, 2, 2)
    assert session.fresh_slices() == 0
    case.accept_slice(0)
    assert session.fresh_slices() == 1
    assert [s.replay for s in session.snapshot().slices] == [False, False, True]


def test_what_was_accepted_since_the_snapshot_is_known(opened: tuple[Session, Case]) -> None:
    session, case = opened
    case.accept_slice(0)
    assert session.accepted_meanwhile()
    session.snapshot()
    assert not session.accepted_meanwhile()
    stroke(case, 1, 5, 9)
    assert not session.accepted_meanwhile()
    case.accept_slice(1)
    assert session.accepted_meanwhile()
    session.snapshot()
    session.mark_learned()
    assert not session.accepted_meanwhile()


def test_undoing_an_acceptance_makes_the_slice_neither_fresh_nor_part_of_a_snapshot() -> None:
    session = Session(numbered_classes(["a"]))
    case = session.open(noise_scan(0, SHAPE))
    case.accept_slice(1)
    case.undo()
    assert session.fresh_slices() == 0
    assert session.snapshot().slices == ()
