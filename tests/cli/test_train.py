"""`train`: which files are learnt from, what is refused, and what the checkpoint says."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest
from PIL import Image

from napari_crii.checkpoint_info import read_checkpoint_info
from napari_crii.cli._training_options import class_names
from napari_crii.errors import TrainingError


@pytest.fixture
def folders(phantom_folder: Path) -> tuple[object, ...]:
    return (
        "--images", phantom_folder / "images", "--labels", phantom_folder / "labels",
        "--iterations", 1,
    )  # fmt: skip


def test_a_checkpoint_knows_where_it_comes_from(as_json, folders, tmp_path: Path) -> None:
    path = tmp_path / "new" / "weights.safetensors"
    report = as_json("train", *folders, "-o", path, "--classes", "organ, lesion", "--half")
    card = read_checkpoint_info(path)
    assert card.class_names == ("organ", "lesion")
    assert card.digest == report["digest"]
    assert {**card.provenance, "version": ""} == {
        "command": "napari-crii train", "data": "images", "slices": 6, "patients": 1,
        "iterations": 1, "seed": 0, "version": "",
    }  # fmt: skip
    assert report["checkpoint"] == str(path)
    assert (report["slices"], report["patients"]) == (6, 1)
    assert path.stat().st_size < 6_000_000


def test_what_it_learns_can_predict(as_json, run, folders, scan_file, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    options = ("--neighbours", 1, "--scope", "volume", "--no-mirror", "--pixel-mm", 1.2)
    assert run("train", *folders, "-o", path, *options).exit_code == 0
    card = read_checkpoint_info(path)
    assert card.class_names == ("foreground",)
    assert card.network["in_channels"] == 3
    assert card.preprocessing["scope"] == "volume"
    assert card.preprocessing["mirror_axes"] == []
    assert card.preprocessing["pixel_mm"] == 1.2
    (record,) = as_json("predict", scan_file, "-o", tmp_path, "--checkpoint", path)
    assert record["checkpoint"] == card.digest


def test_scans_without_a_mask_are_named(
    run, phantom_folder: Path, scan_file: Path, tmp_path: Path
) -> None:
    shutil.copytree(phantom_folder, tmp_path / "data")
    shutil.copy(scan_file, tmp_path / "data" / "images" / "two.nii.gz")
    result = run(
        "train", "--images", tmp_path / "data" / "images", "--labels", tmp_path / "data" / "labels",
        "-o", tmp_path / "w.safetensors", "--iterations", 1,
    )  # fmt: skip
    assert "scans without a mask: 1 (two.nii.gz)" in result.stderr


def test_settings_that_cannot_be_met_are_refused(refused, folders, tmp_path: Path) -> None:
    out = tmp_path / "w.safetensors"
    assert "must end in .safetensors" in refused("train", *folders, "-o", tmp_path / "w.pt")
    assert "different names" in refused("train", *folders, "-o", out, "--classes", "a,a")
    assert "label 2 is not one of the classes" not in refused(
        "train", *folders, "-o", out, "--groups", tmp_path / "no.csv"
    )
    for seed in (-1, 2**32, 99999999999999999999):
        assert "value for '--seed'" in refused("train", *folders, "-o", out, "--seed", seed)
    assert "pixel sizes -1.0" in refused("train", *folders, "-o", out, "--pixel-mm", -1)
    groups = tmp_path / "groups.csv"
    groups.write_text("file,patient\nother.nii.gz,p1\n")
    text = refused("train", *folders, "-o", out, "--groups", groups)
    assert "does not say whose scan one.nii.gz is" in text
    assert not out.exists()


def test_more_labels_than_names_are_refused(refused, phantom_folder: Path, tmp_path: Path) -> None:
    from napari_crii.io import read_mask, write_mask

    labels, geometry = read_mask(phantom_folder / "labels" / "one.nii.gz")
    (tmp_path / "labels").mkdir()
    write_mask(tmp_path / "labels" / "one.nii.gz", labels + 1, geometry)
    text = refused(
        "train", "--images", phantom_folder / "images", "--labels", tmp_path / "labels",
        "-o", tmp_path / "w.safetensors", "--classes", "organ,lesion",
    )  # fmt: skip
    assert "one.nii.gz: label 3 is not one of the classes 0 to 2" in text


def test_nothing_that_pairs_is_refused(refused, phantom_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    out = ("-o", tmp_path / "w.safetensors")
    text = refused(
        "train", "--images", phantom_folder / "images", "--labels", tmp_path / "none", *out
    )
    assert "holds no NIfTI" in text
    text = refused(
        "train", "--images", tmp_path / "absent", "--labels", phantom_folder / "labels", *out
    )
    assert "absent cannot be listed as a folder" in text


def test_a_loss_that_is_not_finite_saves_nothing(
    refused, folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_crii.training.fit import _Step

    monkeypatch.setattr(_Step, "__call__", lambda *args, **kwargs: float("nan"))
    text = refused("train", *folders, "-o", tmp_path / "w.safetensors")
    assert "became nan at step 1" in text
    assert list(tmp_path.iterdir()) == []


def test_an_output_folder_that_cannot_be_is_refused_before_training(
    refused, folders, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    text = refused("train", *folders, "-o", tmp_path / "file" / "w.safetensors")
    assert "is a file, not a folder" in text


def test_a_full_disk_leaves_no_checkpoint(
    refused, folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_crii.io import atomic

    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(atomic, "_sync_file", full)
    text = refused("train", *folders, "-o", tmp_path / "w.safetensors")
    assert "the disk is full" in text
    assert list(tmp_path.iterdir()) == []


def test_class_names_are_split_and_checked() -> None:
    assert class_names(None) == ("foreground",)
    assert class_names("a, b c") == ("a", "b c")
    with pytest.raises(TrainingError, match="different names"):
        class_names("a,,b")


@pytest.fixture
def two_patients(phantom_folder: Path, tmp_path: Path) -> tuple[object, ...]:
    data = tmp_path / "data"
    shutil.copytree(phantom_folder, data)
    for name in ("images", "labels"):
        shutil.copy(data / name / "one.nii.gz", data / name / "two.nii.gz")
    (data / "groups.csv").write_text("file,patient\none.nii.gz,SC-1\ntwo.nii.gz,SC-2\n")
    return (
        "--images", data / "images", "--labels", data / "labels",
        "--groups", data / "groups.csv", "--iterations", 1, "-o", tmp_path / "w.safetensors",
    )  # fmt: skip


def test_patients_left_out_are_recorded_and_not_learnt_from(
    as_json, two_patients, tmp_path: Path
) -> None:
    report = as_json("train", *two_patients, "--without", "SC-2")
    assert (report["slices"], report["patients"]) == (6, 1)
    card = read_checkpoint_info(tmp_path / "w.safetensors")
    assert card.provenance["without"] == {"count": 1, "patients": ["SC-2"]}
    assert card.provenance["patients"] == 1


def test_patients_who_cannot_be_left_out_are_refused(
    refused, folders, two_patients, tmp_path: Path
) -> None:
    text = refused("train", *two_patients, "--without", "SC-2,SC-7")
    assert "no scan is of patient SC-7, though one is of SC-1" in text
    text = refused("train", *two_patients, "--without", "SC-1, SC-2")
    assert "without SC-1, SC-2 nobody with a mask is left to learn from" in text
    assert "different names" in refused("train", *two_patients, "--without", "SC-1,,")
    text = refused("train", *folders, "-o", tmp_path / "w.safetensors", "--without", "SC-1")
    assert "--without needs --groups" in text
    assert not (tmp_path / "w.safetensors").exists()


@pytest.fixture
def pool(phantom_folder: Path, scan_file: Path, tmp_path: Path) -> Path:
    """Return a folder with the scan that has a mask, and one that has none."""
    folder = tmp_path / "pool"
    folder.mkdir()
    for name in ("one", "other"):
        shutil.copy(scan_file, folder / f"{name}.nii.gz")
    return folder


@pytest.mark.parametrize("preset", ["plus", "faithful", None])
def test_scans_without_masks_are_learnt_from(
    as_json, folders, pool: Path, tmp_path: Path, preset: str | None
) -> None:
    path = tmp_path / "w.safetensors"
    chosen = () if preset is None else ("--preset", preset)
    report = as_json("train", *folders, "-o", path, "--unlabelled", pool, "--crop", 32, *chosen)
    assert (report["slices"], report["patients"]) == (6, 1)
    card = read_checkpoint_info(path)
    assert card.provenance["unlabelled_slices"] == 6
    assert card.provenance["preset"] == (preset or "plus")


def test_a_patient_left_out_is_not_learnt_from_without_a_mask_either(
    as_json, refused, two_patients, scan_file: Path, tmp_path: Path
) -> None:
    pool = tmp_path / "pool"
    pool.mkdir()
    for name in ("later", "apart"):
        shutil.copy(scan_file, pool / f"{name}.nii.gz")
    groups = tmp_path / "data" / "groups.csv"
    groups.write_text(groups.read_text() + "later.nii.gz,SC-2\n")
    more = ("--unlabelled", pool, "--crop", 32)
    as_json("train", *two_patients, "--without", "SC-2", *more)
    assert read_checkpoint_info(tmp_path / "w.safetensors").provenance["unlabelled_slices"] == 6
    groups.write_text(groups.read_text() + "apart.nii.gz,SC-3\n")
    report = as_json("train", *two_patients, "--without", "SC-3", *more)
    assert report["slices"] == 12
    card = read_checkpoint_info(tmp_path / "w.safetensors")
    assert card.provenance["unlabelled_slices"] == 6
    assert card.provenance["without"] == {"count": 1, "patients": ["SC-3"]}
    text = refused("train", *two_patients, "--without", "SC-4", *more)
    assert "no scan is of patient SC-4, though one is of SC-1" in text


def test_a_preset_that_cannot_be_met_is_refused(
    refused, folders, pool: Path, tmp_path: Path
) -> None:
    out = tmp_path / "w.safetensors"
    assert "no preset 'best'" in refused("train", *folders, "-o", out, "--preset", "best")
    text = refused("train", *folders, "-o", out, "--preset", "sup", "--unlabelled", pool)
    assert "the preset sup learns nothing from --unlabelled" in text
    (pool / "other.nii.gz").unlink()
    text = refused("train", *folders, "-o", out, "--unlabelled", pool)
    assert "pool holds no scan to learn from without a mask" in text
    assert not out.exists()


def test_pictures_in_colour_and_in_grey_are_learnt_from_together(run, tmp_path: Path) -> None:
    shades = Image.linear_gradient("L").crop((0, 0, 64, 64))
    for name, picture in {"a": shades, "b": Image.merge("RGB", [shades, shades, shades])}.items():
        for kind in ("images", "labels"):
            (tmp_path / kind).mkdir(exist_ok=True)
        if picture.mode == "RGB":
            picture.putpixel((3, 3), (255, 0, 0))
        picture.save(tmp_path / "images" / f"{name}.png")
        shades.point(lambda value: 255 * (value > 30)).save(tmp_path / "labels" / f"{name}.png")
    out = tmp_path / "weights.safetensors"
    folders = ("--images", tmp_path / "images", "--labels", tmp_path / "labels")
    result = run("train", *folders, "--iterations", 1, "-o", out)
    assert result.exit_code == 0, result.stderr
    assert read_checkpoint_info(out).preprocessing["channels"] == 3
    for name in ("a", "b"):
        scan = tmp_path / "images" / f"{name}.png"
        result = run("predict", scan, "-o", tmp_path / name, "--checkpoint", out)
        assert result.exit_code == 0, result.stderr
