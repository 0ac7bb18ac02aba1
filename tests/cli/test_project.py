"""`project`: folders in which work on scans is kept."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from napari_crii.io import read_mask, write_mask
from napari_crii.metrics import dice
from napari_crii.session.project import Project
from napari_crii.session.project_folder import JOURNAL

COMMANDS = ("new", "add", "status", "verify", "salvage", "export", "import", "sign", "agree")


@pytest.fixture
def folder(run, tmp_path: Path, scan_file: Path) -> Path:
    """Return a project with one case, one."""
    path = tmp_path / "hearts"
    assert run("project", "new", path, "--classes", "organ,lesion").exit_code == 0
    assert run("project", "add", path, scan_file, "--name", "one").exit_code == 0
    return path


def test_from_a_scan_to_a_data_set(
    run, as_json, folder: Path, phantom_folder: Path, tmp_path: Path, checkpoint: Path
) -> None:
    label = phantom_folder / "labels" / "one.nii.gz"
    taken = as_json("project", "import", folder, "one", label, "--reader", "r", "--every-slice")
    assert taken == {"case": "one", "slices": [0, 1, 2, 3, 4, 5]}
    added = as_json("project", "add", folder, checkpoint)["added"]
    facts = as_json("project", "status", folder)
    assert facts["checkpoints"] == [added[0]["checkpoint"]]
    assert facts["cases"][0] == {
        "case": "one", "patient": "patient-001", "validation": False,
        "progress": "in progress", "slices": {"done": 6}, "edits": 6, "seconds": 0.0,
        "reader": "r", "signed_by": None, "signed_at": None,
    }  # fmt: skip
    assert as_json("project", "verify", folder)["problems"] == []
    done = as_json("project", "export", folder, tmp_path / "set", "--as", "nnunet")
    assert done["cases"] == ["one"]
    exported, _ = read_mask(tmp_path / "set" / "labelsTr" / "one.nii.gz")
    assert np.array_equal(exported, read_mask(label)[0])
    assert "6 done" in run("project", "status", folder).stdout
    assert json.loads((tmp_path / "set" / "dataset.json").read_text())["numTraining"] == 1


def test_classes_may_have_ids(as_json, tmp_path: Path) -> None:
    made = as_json("project", "new", tmp_path / "p", "--classes", "a, 65535:b,300:c")
    assert made["classes"] == {"a": 1, "b": 65535, "c": 300}


@pytest.mark.parametrize("classes", ["", "a,,b", "x:a", "0:a", "65536:a", "1:a,1:b", "a,a"])
def test_classes_that_are_none_are_refused(refused, tmp_path: Path, classes: str) -> None:
    assert "class" in refused("project", "new", tmp_path / "p", "--classes", classes) or classes
    assert not (tmp_path / "p").exists()


def test_what_a_user_can_get_wrong_is_one_sentence(
    refused, run, folder: Path, scan_file: Path, phantom_folder: Path, tmp_path: Path
) -> None:
    label = phantom_folder / "labels" / "one.nii.gz"
    assert "is not empty" in refused("project", "new", folder, "--classes", "a")
    assert "is no project" in refused("project", "status", tmp_path)
    assert "already, as one" in refused("project", "add", folder, scan_file)
    assert "does not exist" in refused("project", "add", folder, tmp_path / "none.nii.gz")
    assert "one by one" in refused("project", "add", folder, "a", "b", "--name", "x")
    assert "no case two" in refused("project", "import", folder, "two", label)
    assert "no layout" in refused("project", "export", folder, tmp_path / "o", "--as", "x")
    assert "no case that is finished" in refused("project", "export", folder, tmp_path / "o")
    wrong = tmp_path / "wrong.nii.gz"
    labels, geometry = read_mask(label)
    write_mask(wrong, labels + 7, geometry)
    assert "no class of the project" in refused("project", "import", folder, "one", wrong)
    write_mask(wrong, labels * 0, geometry)
    assert "is empty" in refused("project", "import", folder, "one", wrong)
    write_mask(wrong, labels[:4], geometry)
    assert "resample it" in refused("project", "import", folder, "one", wrong)
    assert "is a file" in refused("project", "export", folder, wrong, "--unfinished")
    assert run("project").exit_code == 2


def test_a_project_that_another_has_open_is_only_read(run, refused, folder: Path) -> None:
    with Project.open(folder, "r") as project:
        assert "open for writing by" in run("project", "status", folder).stdout
        mask = folder / "mask.nii.gz"
        write_mask(mask, np.zeros((6, 32, 40), np.uint8), project.open_case("one").volume.geometry)
        assert "has it open" in refused("project", "import", folder, "one", mask, "--every-slice")


def test_damage_is_found(refused, run, folder: Path, scan_file: Path, tmp_path: Path) -> None:
    copied = tmp_path / "copied"
    run("project", "new", copied, "--classes", "a")
    run("project", "add", copied, scan_file, "--copy")
    (scan,) = (copied / "scans").iterdir()
    scan.unlink()
    assert "add it again" in refused("project", "verify", copied)
    assert run("project", "add", copied, scan_file, "--copy").exit_code == 0
    assert "Intact" in run("project", "verify", copied).stdout
    content = bytearray((copied / JOURNAL).read_bytes())
    content[len(content) // 2] ^= 1
    (copied / JOURNAL).write_bytes(content)
    for command in ("verify", "status"):
        assert "damaged" in refused("project", command, copied)
    result = run("project", "salvage", copied, tmp_path / "new")
    assert result.exit_code == 0
    assert "damaged" in result.stderr
    assert "is not empty" in refused("project", "salvage", copied, tmp_path / "new")
    file = tmp_path / "file"
    file.touch()
    assert "is a file" in refused("project", "salvage", copied, file)
    assert run("project", "verify", tmp_path / "new").exit_code == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_shows_an_example_and_speaks_json(run, command: str) -> None:
    text = run("project", command, "--help").stdout
    assert f"Example: napari-crii project {command}" in " ".join(text.split())
    assert "--json" in text


def test_two_readers_are_compared_once_both_have_signed(
    run, as_json, refused, folder: Path, phantom_folder: Path, tmp_path: Path
) -> None:
    label = phantom_folder / "labels" / "one.nii.gz"
    labels, geometry = read_mask(label)
    other = np.roll(labels, 1, axis=2)
    write_mask(tmp_path / "other.nii.gz", other, geometry)
    given = ("project", "import", folder, "one")
    run(*given, label)
    assert len(as_json("project", "sign", folder, "one", "--by", "A")["unseen"]) < 6
    assert "is signed" in refused("project", "agree", folder, "one")
    run(*given, tmp_path / "other.nii.gz", "--reading", "2")
    run("project", "sign", folder, "one", "--by", "B", "--reading", "2")
    found = as_json("project", "agree", folder, "one", "--maps", tmp_path / "maps")
    assert found["readers"] == ["A", "B"]
    assert found["differing_voxels"] == np.count_nonzero(labels != other)
    assert found["classes"]["organ"]["dice"] == pytest.approx(dice(labels == 1, other == 1))
    differing, _ = read_mask(tmp_path / "maps" / "one_differing.nii.gz")
    assert np.array_equal(differing > 0, labels != other)
    consensus, _ = read_mask(tmp_path / "maps" / "one_consensus.nii.gz")
    same = labels == other
    assert np.array_equal(consensus[same], labels[same])
    assert "A and B differ" in run("project", "agree", folder, "one").stdout
    assert "exists already" in refused(
        "project", "agree", folder, "one", "--maps", tmp_path / "maps"
    )
    assert "a name" in refused("project", "sign", folder, "one", "--by", " ")


def test_what_was_added_before_a_scan_that_is_none_is_told(
    run, as_json, folder: Path, phantom_folder: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.nii.gz"
    broken.write_text("no scan")
    label = phantom_folder / "labels" / "one.nii.gz"
    result = run("project", "add", folder, label, broken)
    assert result.exit_code == 2
    assert "Added before that" in result.stderr
    assert "case-" in result.stderr
    assert len(as_json("project", "status", folder)["cases"]) == 2


def test_who_signs_is_not_taken_for_who_read(
    run, as_json, folder: Path, phantom_folder: Path
) -> None:
    label = phantom_folder / "labels" / "one.nii.gz"
    run("project", "import", folder, "one", label, "--reader", "annotator")
    run("project", "sign", folder, "one", "--by", "chief")
    (case,) = as_json("project", "status", folder)["cases"]
    assert (case["reader"], case["signed_by"]) == ("annotator", "chief")
