"""What the cases of earlier sittings teach, and judge by, beside those that are open."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_crii.classes import numbered_classes
from napari_crii.io import write_map
from napari_crii.session import earlier_work
from napari_crii.session.earlier_work import EarlierWork
from napari_crii.session.project import Project
from napari_crii.snapshot import LabelledSlice
from tests.factories import noise_scan

SHAPE = (12, 20, 26)
NAMES = ("one", "two", "three")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a project of three patients, the second judges; ten slices of each are accepted."""
    Project.create(tmp_path / "p", "p", numbered_classes(["a"]))
    with Project.open(tmp_path / "p", "ana") as project:
        for seed, name in enumerate(NAMES):
            path = tmp_path / f"{name}.nii.gz"
            volume = noise_scan(0, SHAPE)
            write_map(path, volume.array.astype(np.float32) * (1 + seed), volume.geometry)
            project.add_scan(path, name)
            case = project.open_case(name)
            for index in range(1, 11):
                labels = case.shown(index).copy()
                labels[5 : 9 + seed, 5:9] = 1
                case.draw(index, labels)
                case.accept_slice(index)
        project.session.snapshot()
        project.session.mark_learned()
    return tmp_path / "p"


def read(project: Project) -> tuple[LabelledSlice, ...]:
    earlier = EarlierWork(project)
    assert not earlier.is_read(0)
    earlier.read(0)
    assert earlier.is_read(0)
    assert not earlier.is_read(1)
    return earlier.slices()


def test_closed_cases_teach_and_judge_as_if_they_were_open(folder: Path) -> None:
    with Project.open(folder) as project:
        found = read(project)
        assert not project.session.cases
        # Eight of ten, first and last among them, of each.
        assert [s.validation for s in found] == [True] * 8 + [False] * 16
        for name in NAMES:
            project.open_case(name)
        opened = project.session.snapshot(unlabelled=0).slices

    def key(one: LabelledSlice) -> tuple[object, ...]:
        return (
            one.patient,
            one.validation,
            one.replay,
            one.image.tobytes(),
            one.labels.tobytes(),
            one.weights.tobytes(),
            one.pixel_spacing,
        )

    assert {key(s) for s in found} < {key(s) for s in opened}
    assert len({key(s) for s in found}) == 24
    assert all(s.replay is not s.validation for s in found)
    ends = {key(s) for s in (opened[0], opened[9], opened[10], opened[19], opened[20], opened[29])}
    assert ends < {key(s) for s in found}


def test_a_case_that_is_opened_speaks_for_itself(folder: Path) -> None:
    with Project.open(folder) as project:
        earlier = EarlierWork(project)
        earlier.read(0)
        case = project.open_case("three")
        assert {s.patient for s in earlier.slices()} == {"patient-001", "patient-002"}
        snapshot = project.session.snapshot(0, 0, earlier.slices())
        assert len(snapshot.validation) == 8
        assert len(snapshot.training) == 10 + 8
        assert case.patient == "patient-003"


def test_there_is_a_limit_and_those_that_judge_and_the_newest_come_first(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(earlier_work, "MOST_SLICES", 10)
    with Project.open(folder) as project:
        found = read(project)
    patients = [s.patient for s in found]
    assert patients == ["patient-002"] * 8 + ["patient-003"] * 8 + ["patient-001"] * 2


def test_a_scan_that_is_gone_or_another_one_is_left_out(folder: Path) -> None:
    (folder.parent / "one.nii.gz").unlink()
    (folder.parent / "two.nii.gz").write_bytes((folder.parent / "three.nii.gz").read_bytes())
    with Project.open(folder) as project:
        assert {s.patient for s in read(project)} == {"patient-003"}


def test_a_second_reader_learns_from_nothing_of_the_first(folder: Path) -> None:
    with Project.open(folder, "ben", reading=2) as project:
        assert read(project) == ()
