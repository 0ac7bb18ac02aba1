"""A project is made, opened, filled with scans, closed, or refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from napari_crii.checkpoint import save_checkpoint
from napari_crii.classes import LabelClass, numbered_classes
from napari_crii.errors import ProjectError, ReadOnlyError
from napari_crii.io import write_map, write_mask
from napari_crii.session import SliceStatus
from napari_crii.session.events import Signed
from napari_crii.session.project import Project
from napari_crii.session.report import problems
from napari_crii.session.signing import sign_off
from tests.factories import small_checkpoint
from tests.session.projects import (
    SHAPE,
    new_project,
    opened,
    same_work,
    scan,
    stroke,
)


def test_a_second_opener_reads_only_and_names_the_holder(folder: Path) -> None:
    with opened(folder) as first:
        case = first.session.open(scan())
        stroke(case, 0, 3, 3)
        first.wait()
        with opened(folder, "other") as second:
            assert second.holder is not None
            assert str(second.holder.pid) in second.read_only
            assert second.holder.host in second.read_only
            seen = second.session.open(scan())
            assert same_work(seen, case)
            for act in (seen.undo, seen.redo, lambda: seen.accept_slice(0)):
                with pytest.raises(ReadOnlyError, match="has it open"):
                    act()
            with pytest.raises(ReadOnlyError):
                second.enter(scan(5))
            assert same_work(seen, case)
        stroke(case, 0, 9, 3)
    with opened(folder) as third:
        assert not third.read_only
        assert same_work(third.session.open(scan()), case)


def test_the_split_is_fixed_on_entering_and_by_patient(folder: Path) -> None:
    with opened(folder) as project:
        for k in range(12):
            project.enter(scan(k), patient=f"p{k}")
        project.enter(scan(20), patient="p1")
        sides = [r.validation for r in project.records.cases.values()]
    assert [k for k, validates in enumerate(sides) if validates] == [1, 6, 11, 12]
    with opened(folder) as project:
        assert [r.validation for r in project.records.cases.values()] == sides
        for k in (0, 1):
            project.session.open(scan(k)).accept_slice(0)
        snapshot = project.session.snapshot()
        assert [s.patient for s in snapshot.training] == ["p0"]
        assert [s.patient for s in snapshot.validation] == ["p1"]
        assert project.session.fresh_slices() == 1
        project.session.mark_learned()
    with opened(folder) as project:
        project.session.open(scan(0))
        assert project.session.fresh_slices() == 0


def test_the_scan_is_found_and_must_be_the_one_that_was_entered(
    folder: Path, tmp_path: Path
) -> None:
    volume = scan()
    path = tmp_path / "scan.nii.gz"
    write_mask(path, volume.array.astype(np.uint16), volume.geometry)
    with opened(folder) as project:
        linked = project.add_scan(path, "linked", "p")
        with pytest.raises(ProjectError, match="in the project already, as linked"):
            project.add_scan(path)
        stroke(project.open_case("linked"), 0, 1, 1)
        with pytest.raises(ProjectError, match="no case other"):
            project.open_case("other")
    text = (folder / "journal.sqlite").read_bytes()
    assert str(tmp_path).encode() not in text
    moved = folder.rename(tmp_path / "moved")
    write_mask(path, volume.array.astype(np.uint16) + 1, volume.geometry)
    with opened(moved) as project:
        with pytest.raises(ProjectError, match="not the scan that was entered as linked"):
            project.open_case("linked")
        copied = project.add_scan(path, copy=True)
        path.unlink()
        assert project.open_case(copied.name).shape == SHAPE
        assert linked.digest != copied.digest
    assert json.loads((moved / "scans.json").read_text())[copied.name].startswith("scans/")


@pytest.mark.parametrize("name", ["../x", "a b", "", "ä", "a" * 65, "a/b", "."])
def test_a_name_that_is_no_file_name_is_refused(folder: Path, name: str) -> None:
    with opened(folder) as project, pytest.raises(ProjectError, match="is no name"):
        project.enter(scan(), name or " ")


@pytest.mark.parametrize("classes", [
    (), (LabelClass(0, "a"),), (LabelClass(65536, "a"),),
    (LabelClass(1, "a"), LabelClass(1, "b")), (LabelClass(1, "a"), LabelClass(2, "a")),
])  # fmt: skip
def test_classes_that_do_not_tell_voxels_apart_are_refused(tmp_path: Path, classes) -> None:
    with pytest.raises(ProjectError, match="class"):
        Project.create(tmp_path / "p", "p", classes)
    assert not (tmp_path / "p").exists()


def test_what_is_no_project_is_refused_and_left_alone(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="is no project"):
        opened(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(ProjectError, match="is not empty"):
        Project.create(tmp_path, "p", numbered_classes(["a"]))
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_only_a_project_that_held_nothing_can_be_discarded(folder: Path) -> None:
    with opened(folder) as project:
        case = project.session.open(scan())
        stroke(case, 0, 3, 3)
    with opened(folder) as project:
        with pytest.raises(ProjectError, match="no new project"):
            project.discard()
        assert same_work(project.session.open(scan()), case)
        with opened(folder) as second, pytest.raises(ReadOnlyError):
            second.discard()
    (folder / "note.txt").write_text("x")
    empty = opened(new_project(folder / "inner"))
    empty.enter(scan())
    empty.discard()
    assert list((folder / "inner").iterdir()) == []
    with pytest.raises(ReadOnlyError, match="closed"):
        empty.enter(scan(1))
    with opened(folder) as project:
        assert same_work(project.session.open(scan()), case)


def test_after_closing_nothing_can_be_changed(folder: Path) -> None:
    with opened(folder) as project:
        case = project.session.open(scan())
        stroke(case, 0, 3, 3)
    before = case.human.labels.copy()
    for act in (case.undo, lambda: case.accept_slice(1), lambda: stroke(case, 0, 5, 5)):
        with pytest.raises(ReadOnlyError, match="closed"):
            act()
    assert np.array_equal(case.human.labels, before)
    assert case.status(1) is SliceStatus.UNTOUCHED


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Return three scans on the disk, the first of them a header with its data beside it."""
    paths = [tmp_path / name for name in ("one.mhd", "two.nii.gz", "three.nii.gz")]
    for seed, path in enumerate(paths):
        volume = scan(seed)
        if path.suffix == ".mhd":
            sitk.WriteImage(sitk.GetImageFromArray(volume.array), path)
        else:
            write_map(path, volume.array, volume.geometry)
    return paths


def test_a_scan_of_several_files_is_not_copied_by_one_of_them(
    folder: Path, files: list[Path]
) -> None:
    with opened(folder) as project:
        with pytest.raises(ProjectError, match="other files"):
            project.add_scan(files[0], "one", copy=True)
        assert not project.records.cases
        assert not list((folder / "scans").iterdir())
        project.add_scan(files[0], "one")
        assert project.open_case("one").shape == SHAPE


def test_what_fails_while_a_scan_is_added_leaves_no_case(folder: Path, files: list[Path]) -> None:
    (folder / "scans").mkdir()
    (folder / "scans" / "two.nii.gz").write_text("mine")
    with opened(folder) as project:
        number = project.wait().number
        with pytest.raises(ProjectError, match="exists already"):
            project.add_scan(files[1], "two", copy=True)
        (folder / "scans.json").write_text("{")
        for copy in (False, True):
            with pytest.raises(ProjectError, match="is damaged"):
                project.add_scan(files[2], "three", "p", copy)
        assert not project.records.cases
        assert project.wait().number == number
    assert [p.name for p in (folder / "scans").iterdir()] == ["two.nii.gz"]
    assert (folder / "scans" / "two.nii.gz").read_text() == "mine"


def test_a_scan_in_whose_place_another_lies_is_found_again(folder: Path, files: list[Path]) -> None:
    with opened(folder) as project:
        project.add_scan(files[1], "two", "p2")
        kept = files[1].rename(files[1].with_name("kept.nii.gz"))
        files[2].rename(files[1])
        with pytest.raises(ProjectError, match="is not the scan"):
            project.open_case("two")
        with pytest.raises(ProjectError, match="as two of p2"):
            project.add_scan(kept, "other")
        assert project.add_scan(kept, "two").patient == "p2"
        assert project.open_case("two").shape == SHAPE
        assert list(project.records.cases) == ["two"]


def test_nobody_reads_a_case_twice(folder: Path) -> None:
    with opened(folder, "A") as project:
        stroke(project.session.open(scan()), 0, 3, 3)
        project.session.open(scan(1))
    with opened(folder) as project:
        project.session.open(scan(1))
    with (
        Project.open(folder, "A", reading=2) as project,
        pytest.raises(ProjectError, match="was read by A first"),
    ):
        project.session.open(scan())
    with Project.open(folder, "B", reading=2) as project:
        assert not project.session.open(scan()).corrections
    with Project.open(folder, reading=1) as project:
        project.session.open(scan())
        readers = project.records.readers.values()
    # Who opens a project without a name takes nobody's place.
    assert sorted(readers) == ["A", "B", "r"]


def test_verifying_compares_signatures_and_weights(folder: Path, tmp_path: Path) -> None:
    for seed in range(2):
        save_checkpoint(tmp_path / f"{seed}.safetensors", small_checkpoint(classes=3, seed=seed))
    with opened(folder) as project:
        case = project.enter(scan()).name
        sign_off(project.session.open(scan()), "Dr. R")
        project.weights.add(tmp_path / "0.safetensors")
        project.wait()
        intact = [one for one in problems(project) if "unknown place" not in one]
        assert intact == []
        project.session.open(scan()).note(Signed("Dr. S", 0.0, "0" * 64, ()))
        project.wait()
        (weights,) = (folder / "checkpoints").iterdir()
        weights.write_bytes((tmp_path / "1.safetensors").read_bytes())
        found = " ".join(problems(project))
    assert f"{case} is not as Dr. S signed it" in found
    assert "does not hold the weights" in found
