"""What is one step of undo, what a lock refuses and what rejecting clears, in a project."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_crii.errors import LockedError
from napari_crii.session import Act, Provenance
from tests.session.projects import (
    PATCH,
    SHAPE,
    opened,
    proposal,
    scan,
    stroke,
)


def test_a_stroke_through_slices_is_one_step_of_undo(folder: Path) -> None:
    with opened(folder) as project:
        case = project.session.open(scan())
        case.publish(proposal(1))
        stroke(case, 0, 9, 9, label=2)
        drawn = {i: case.shown(i).copy() for i in range(3)}
        for labels in drawn.values():
            labels[2:6, 2:6] = 1
        assert len(case.draw_slices(drawn)) == 3
    with opened(folder) as project:
        case = project.session.open(scan())
        group = case.undo_act()
        assert {c.slice for c in group} == {0, 1, 2}
        assert [case.status(i) for i in range(3)] == ["edited", "untouched", "untouched"]
        assert case.human.labels.sum() == 12
        assert {c.slice for c in case.redo_act()} == {0, 1, 2}
        assert np.array_equal(case.shown(2), drawn[2])


def test_an_imported_mask_is_one_step_of_undo_also_after_opening_again(folder: Path) -> None:
    mask = {i: np.full(SHAPE[1:], 1 + i % 2, dtype=np.uint8) for i in range(SHAPE[0])}
    with opened(folder) as project:
        case = project.session.open(scan())
        stroke(case, 2, 9, 9, label=2)
        before = case.human.labels.copy()
        heard: list[int] = []
        tell = case._teller.listener
        case.listen(lambda *events: heard.append(len(events)) or tell(*events))
        assert len(case.seed_slices(mask)) == SHAPE[0]
        # Told at once: the journal has all of the mask or nothing of it.
        assert heard == [SHAPE[0]]
    with opened(folder) as project:
        case = project.session.open(scan())
        assert len(case.undo_act()) == SHAPE[0]
        assert np.array_equal(case.human.labels, before)
        assert [case.status(i) for i in range(3)] == ["untouched", "untouched", "edited"]
        assert len(case.redo_act()) == SHAPE[0]
        assert all((case.human.labels[i] == labels).all() for i, labels in mask.items())


def test_a_mask_that_would_change_a_locked_class_enters_nowhere(folder: Path) -> None:
    with opened(folder) as project:
        case = project.session.open(scan())
        project.lock_classes([2])
        mask = {i: np.full(SHAPE[1:], 1 + (i == 2), dtype=np.uint8) for i in range(3)}
        with pytest.raises(LockedError, match=r"class 2 is locked, .* slice 3"):
            case.seed_slices(mask)
        assert not case.corrections


def test_a_locked_class_takes_and_gives_no_voxel(folder: Path) -> None:
    with opened(folder) as project:
        case = project.session.open(scan())
        stroke(case, 0, 3, 3, label=1)
        before = case.shown(0).copy()
        project.lock_classes([1])
        labels = np.full(SHAPE[1:], 2)
        labels[15:, 20:] = 1
        case.draw(0, labels)
        expected = np.where(before == 1, 1, 2)
        expected[15:, 20:] = 0
        assert np.array_equal(case.shown(0), expected)
        assert case.draw(1, np.where(np.zeros(SHAPE[1:]), 0, 1)) is None
        assert case.undo() is not None
        with pytest.raises(LockedError, match="class 1 is locked"):
            case.undo()
        assert np.array_equal(case.shown(0), before)
    with opened(folder) as project:
        case = project.session.open(scan())
        with pytest.raises(LockedError, match="unlock"):
            case.undo()
        project.lock_classes([])
        assert case.undo() is not None
        assert not case.human.labels.any()


def test_rejecting_clears_what_nobody_vouches_for(folder: Path) -> None:
    with opened(folder) as project:
        case = project.session.open(scan())
        case.publish(proposal(1))
        stroke(case, 1, 3, 5, label=1)
        drawn = case.human.provenance[1] == Provenance.DRAWN
        case.reject_patch(PATCH)
        inside = np.zeros(SHAPE[1:], dtype=bool)
        inside[2:9, 4:14] = True
        expected = np.where(inside & ~drawn, 0, proposal(1).labels)
        expected[drawn] = 1
        assert np.array_equal(case.shown(1), expected)
        case.reject_slice(1)
        assert np.array_equal(case.shown(1) > 0, drawn)
        assert [c.act for c in case.corrections][-2:] == [Act.REJECT_PATCH, Act.REJECT_SLICE]
        assert {c.checkpoint for c in case.corrections} == {"w1"}
        case.undo()
        assert np.array_equal(case.shown(1), expected)
