from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from napari_crii.classes import LabelClass
from napari_crii.errors import ProjectError, WriteError
from napari_crii.io import read_mask, write_map
from napari_crii.io.consensus import staple
from napari_crii.session.export import Layout, export
from napari_crii.session.project import Project
from napari_crii.session.proposals import Proposal
from napari_crii.session.signing import sign_off
from napari_crii.volume import Volume, to_slices
from tests.conftest import make_oblique

CLASSES = (LabelClass(3, "a"), LabelClass(300, "b"))
SECRET = "Doe"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Return a project of two finished cases and one that is begun, oblique and anisotropic."""
    home = tmp_path / f"{SECRET} john"
    home.mkdir()
    Project.create(home / "p", "hearts", CLASSES)
    rng = np.random.default_rng(0)
    opened = Project.open(home / "p", "reader one")
    for k, name in enumerate(["first", "second", "begun"]):
        values = rng.integers(0, 900, (3, 9, 11)).astype(np.int16)
        path = home / f"{SECRET}_{k}.nii.gz"
        write_map(path, values, make_oblique())
        opened.add_scan(path, name, f"p{k}")
        case = opened.open_case(name)
        labels = np.zeros(case.shape[1:], dtype=np.uint16)
        labels[2:5, 2:6] = 3
        case.publish(Proposal(0, labels, np.zeros_like(labels, dtype=np.uint8), (), "weights"))
        drawn = labels.copy()
        drawn[2, 2] = 300
        case.draw(0, drawn)
        if name == "first":
            for index in range(case.shape[0]):
                case.accept_slice(index)
        elif name == "second":
            case.look([1], 30.0)
            case.flag(0, note=f"Mr {SECRET}")
            sign_off(case, "Dr. R")
    opened.wait()
    return opened


def test_a_mask_lies_where_its_scan_lies(project: Project, tmp_path: Path) -> None:
    done = export(project, tmp_path / "out")
    assert done.cases == ("first", "second")
    assert done.left_out == ("begun",)
    volume = project.scans.read(project.record_of("first"))
    labels, geometry = read_mask(tmp_path / "out" / "first.nii.gz", like=volume)
    assert geometry.coincides(volume.geometry, volume.shape)
    expected = project.session.cases[volume.digest].mask(include_proposals=False)
    assert np.array_equal(labels, expected)
    other = sitk.ReadImage(str(tmp_path / "out" / "first.nii.gz"))
    scan = sitk.ReadImage(str(project.scans.path_of("first")))
    assert np.allclose(other.GetDirection(), scan.GetDirection(), atol=1e-6)
    assert np.allclose(other.GetOrigin(), scan.GetOrigin(), atol=1e-4)
    assert np.array_equal(sitk.GetArrayFromImage(other), expected)


def test_the_sidecar_tells_who_confirmed_what_and_what_is_the_machines(
    project: Project, tmp_path: Path
) -> None:
    export(project, tmp_path / "out", unfinished=True)
    first, second, begun = (
        json.loads((tmp_path / "out" / f"{name}.json").read_text())
        for name in ("first", "second", "begun")
    )
    assert first["machine_only_share"] == 0
    assert begun["machine_only_share"] == pytest.approx(11 / 12)
    assert begun["voxels"] == {"untouched": 296, "seed": 0, "drawn": 1, "accepted": 0}
    assert first["voxels"] == {"untouched": 0, "seed": 0, "drawn": 1, "accepted": 296}
    assert [s["confirmed"][0]["by"] for s in first["slices"]] == ["reader one"] * 3
    assert first["slices"][0]["drawn_by"] == ["reader one"]
    assert first["checkpoints_sha256"] == ["weights"]
    assert first["scan_sha256"] == project.record_of("first").digest
    assert second["signed"]["by"] == "Dr. R"
    assert second["never_looked_at"] == [2]
    assert (second["seconds"], second["progress"]) == (30.0, "flagged")
    assert (first["edits"], begun["signed"]) == (4, None)


def test_an_nnunet_data_set_keeps_the_split_and_numbers_classes_without_gaps(
    project: Project, tmp_path: Path
) -> None:
    export(project, tmp_path / "out", Layout.NNUNET)
    facts = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert facts == {
        "channel_names": {"0": "image"},
        "labels": {"background": 0, "a": 1, "b": 2},
        "numTraining": 2,
        "file_ending": ".nii.gz",
    }
    splits = json.loads((tmp_path / "out" / "splits_final.json").read_text())
    assert splits == [{"train": ["first"], "val": ["second"]}]
    image = nibabel.load(tmp_path / "out" / "imagesTr" / "first_0000.nii.gz")
    label = nibabel.load(tmp_path / "out" / "labelsTr" / "first.nii.gz")
    assert np.allclose(image.affine, label.affine)
    scan = nibabel.load(project.scans.path_of("first"))
    assert np.array_equal(image.get_fdata(), scan.get_fdata())
    assert set(np.unique(np.asarray(label.dataobj))) == {0, 1, 2}


def test_a_decathlon_data_set_lists_its_pairs(project: Project, tmp_path: Path) -> None:
    export(project, tmp_path / "out", Layout.MSD, cases=["second"])
    facts = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert facts["labels"] == {"0": "background", "1": "a", "2": "b"}
    (pair,) = facts["training"]
    for part in pair.values():
        assert nibabel.load(tmp_path / "out" / part).shape == (11, 9, 3)


@pytest.mark.parametrize("layout", list(Layout))
def test_no_export_holds_a_path_or_a_note(project: Project, tmp_path: Path, layout: Layout) -> None:
    done = export(project, tmp_path / "out", layout, unfinished=True)
    assert sorted(done.files) == sorted(
        path.relative_to(tmp_path / "out").as_posix()
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    )
    for name in done.files:
        content = (tmp_path / "out" / name).read_bytes()
        for secret in (SECRET, str(tmp_path), tmp_path.name):
            assert secret.encode() not in content
            assert secret not in name
    assert SECRET.encode() in (project.folder / "scans.json").read_bytes()


def test_an_export_touches_no_file_that_is_there(project: Project, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("x")
    with pytest.raises(ProjectError, match="is not empty"):
        export(project, tmp_path / "out")
    with pytest.raises(ProjectError, match="mine is a file"):
        export(project, tmp_path / "out" / "mine")
    with pytest.raises(ProjectError, match="no case that is finished"):
        export(project, tmp_path / "other", cases=["begun"])
    assert not (tmp_path / "other").exists()
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["mine"]


def test_the_slices_of_a_turned_scan_return_to_its_own_axes(tmp_path: Path) -> None:
    Project.create(tmp_path / "p", "p", CLASSES)
    values = np.random.default_rng(1).integers(0, 9, (6, 4, 7)).astype(np.int16)
    geometry = make_oblique().transposed((1, 0, 2))
    write_map(tmp_path / "s.nii.gz", values, geometry)
    with Project.open(tmp_path / "p") as project:
        project.add_scan(tmp_path / "s.nii.gz", "c")
        case = project.open_case("c")
        assert case.volume.slice_axis == 1
        labels = np.zeros(case.shape[1:], dtype=np.uint16)
        labels[5, 2] = 300
        case.draw(3, labels)
        project.wait()
        export(project, tmp_path / "out", unfinished=True)
    mask, _ = read_mask(tmp_path / "out" / "c.nii.gz")
    assert np.argwhere(mask).tolist() == [[5, 3, 2]]
    assert to_slices(mask, 1)[3, 5, 2] == 300


def test_staple_follows_the_majority_and_settles_ties_by_the_first() -> None:
    rng = np.random.default_rng(0)
    truth = np.zeros((4, 30, 30), dtype=np.uint16)
    truth[:, 5:20, 5:20] = 3
    truth[:, 22:28, 10:25] = 300
    readers = []
    for _ in range(5):
        mask = truth.copy()
        wrong = rng.random(truth.shape) < 0.1
        mask[wrong] = rng.choice([0, 3, 300], wrong.sum())
        readers.append(mask)
    found = staple(readers, [3, 300])
    assert (found != truth).mean() < 0.005 < min((m != truth).mean() for m in readers)
    assert np.array_equal(staple([truth, truth], [3, 300]), truth)
    assert not staple([np.zeros((2, 3, 4), np.uint8)] * 2, [1]).any()
    with pytest.raises(ValueError, match="one shape"):
        staple([truth, truth[:1]], [3])
    with pytest.raises(ValueError, match="two or more"):
        staple([truth], [3])


def test_a_scan_of_one_image_is_exported_as_png(tmp_path: Path) -> None:
    from PIL import Image

    values = np.random.default_rng(2).integers(0, 255, (9, 12), dtype=np.uint8)
    Image.fromarray(values).save(tmp_path / "s.png")
    Project.create(tmp_path / "p", "p", CLASSES)
    with Project.open(tmp_path / "p") as project:
        project.add_scan(tmp_path / "s.png", "c")
        case = project.open_case("c")
        labels = np.zeros((9, 12), dtype=np.uint16)
        labels[3, 4] = 300
        case.seed(0, labels)
        project.wait()
        export(project, tmp_path / "out")
    mask, _ = read_mask(tmp_path / "out" / "c.png")
    assert np.array_equal(mask[0], labels)
    assert isinstance(case.volume, Volume)


@pytest.mark.parametrize("layout", list(Layout))
def test_an_export_stands_whole_or_not_at_all(
    project: Project, tmp_path: Path, layout: Layout
) -> None:
    second = project.scans.path_of("second")
    assert second is not None
    away = second.rename(second.with_name("away"))
    empty = tmp_path / "empty"
    empty.mkdir()
    for folder in (tmp_path / "new" / "out", empty):
        with pytest.raises(ProjectError, match="scan of second"):
            export(project, folder, layout)
    assert not (tmp_path / "new" / "out").exists()
    assert not list(empty.iterdir())
    away.rename(second)
    # What a killed attempt left is no hindrance.
    (empty / ".unfinished").mkdir()
    (empty / ".unfinished" / "first.nii.gz").write_text("half")
    done = export(project, empty, layout)
    found = {str(p.relative_to(empty)) for p in empty.rglob("*") if p.is_file()}
    assert found == set(done.files)


def test_an_export_that_fails_at_its_last_step_takes_back_what_stands(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, real, count = tmp_path / "out", Path.rename, 0
    folder.mkdir()

    def rename(path: Path, target: Path) -> Path:
        nonlocal count
        count += 1
        if count == 3:
            # Meanwhile somebody else puts something there.
            (folder / "mine").write_text("x")
            raise OSError("no more")
        return real(path, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(WriteError, match="was not filled: no more"):
        export(project, folder)
    assert count == 3
    assert [path.name for path in folder.iterdir()] == ["mine"]


def test_a_case_that_is_named_twice_is_one_case(project: Project, tmp_path: Path) -> None:
    done = export(project, tmp_path / "out", Layout.NNUNET, ["first", "first"])
    assert done.cases == ("first",)
    assert json.loads((tmp_path / "out" / "dataset.json").read_text())["numTraining"] == 1


def test_a_signature_keeps_what_was_not_looked_at_when_it_was_given(
    project: Project, tmp_path: Path
) -> None:
    project.open_case("second").look([2], 5.0)
    project.wait()
    export(project, tmp_path / "out", cases=["second"])
    facts = json.loads((tmp_path / "out" / "second.json").read_text())
    assert facts["never_looked_at"] == []
    assert facts["signed"]["never_looked_at"] == [2]
