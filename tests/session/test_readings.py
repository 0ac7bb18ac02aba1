from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from napari_crii.errors import JournalError, ProjectError
from napari_crii.session import Case, journal_seal
from napari_crii.session.agreement import agreement
from napari_crii.session.project import Project
from napari_crii.session.salvage import salvage
from napari_crii.session.signing import sign_off
from tests.session.projects import new_project, opened, same_work, scan, stroke


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return new_project(tmp_path / "p")


def test_a_second_reading_is_blind_until_it_is_signed(folder: Path) -> None:
    with opened(folder, "one") as project:
        first = project.session.open(scan())
        stroke(first, 0, 3, 3)
        sign_off(first, "one")
    with Project.open(folder, "two", reading=2) as project:
        second = project.session.open(scan())
        record = project.record_of("case-001")
        assert not second.human.labels.any()
        project.wait()
        with pytest.raises(ProjectError, match="sign your own reading first"):
            project.restored(record, 1)
        with pytest.raises(ProjectError, match="sign"):
            agreement(project, record, scan().geometry.spacing)
        stroke(second, 0, 4, 3)
        sign_off(second, "two")
        project.wait()
        found = agreement(project, record, second.volume.slice_spacing)
    both, either = 4, 12 - 4
    assert found.scores[1].dice == pytest.approx(2 * both / 12)
    assert np.count_nonzero(found.differing) == either - both
    assert found.readers == ("one", "two")
    assert np.count_nonzero(found.consensus) >= both


def test_all_before_the_damage_is_salvaged_with_its_undo(folder: Path, tmp_path: Path) -> None:
    with opened(folder) as project:
        case = project.session.open(scan())
        for row in range(6):
            stroke(case, 0, 2 * row, 3)
    wanted = Case(scan(), 3)
    for row in range(3):
        stroke(wanted, 0, 2 * row, 3)
    journal_seal.unseal(folder / "journal.sqlite")
    with closing(sqlite3.connect(folder / "journal.sqlite")) as connection:
        statement = "UPDATE entries SET blob = x'00' WHERE head LIKE '%\"number\":4%'"
        assert connection.execute(statement).rowcount == 1
        connection.commit()
    with pytest.raises(JournalError, match="not as it was written"):
        opened(folder)
    found = salvage(folder, tmp_path / "new")
    assert "entry" in found.damage
    with opened(tmp_path / "new") as project:
        again = project.session.open(scan())
        assert same_work(again, wanted)
        assert again.undo() is not None
    with pytest.raises(ProjectError, match="not empty"):
        salvage(folder, tmp_path / "new")
