"""Training slices from folders of scans and masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_crii.errors import ScanError, TrainingError
from napari_crii.preprocessing import Preprocessing
from napari_crii.training.folder import load_folder, load_unlabelled, read_groups


@pytest.fixture
def folders(tmp_path: Path, rng: np.random.Generator) -> tuple[Path, Path]:
    """Return images a, b and their masks: {0, 255} for a, instances 1 to 3 for b."""
    images, labels = tmp_path / "images", tmp_path / "labels"
    for folder in (images, labels):
        folder.mkdir()
    masks = {"a": np.zeros((20, 30), np.uint8), "b": np.zeros((20, 30), np.uint8)}
    masks["a"][4:9, 5:9] = 255
    for instance in (1, 2, 3):
        masks["b"][5 * instance, 3:9] = instance
    for name, mask in masks.items():
        Image.fromarray(rng.integers(0, 255, (20, 30), dtype=np.uint8)).save(images / f"{name}.png")
        Image.fromarray(mask).save(labels / f"{name}.png")
    return images, labels


def test_one_class_takes_255_and_instances_alike(folders: tuple[Path, Path]) -> None:
    told = []
    data = load_folder(*folders, Preprocessing(), progress=lambda *step: told.append(step))
    assert [item.patient for item in data] == ["a", "b"]
    assert [int(item.label.max()) for item in data] == [1, 1]
    assert [int(item.label.sum()) for item in data] == [20, 18]
    assert told == [(1, 2), (2, 2)]


def test_several_classes_are_taken_as_they_are(folders: tuple[Path, Path]) -> None:
    data = load_folder(*folders, Preprocessing(), classes=("x", "y", "z"))
    assert [int(item.label.max()) for item in data] == [1, 3]
    with pytest.raises(TrainingError, match=r"b\.png: label 3 is not one of the classes 0 to 2"):
        load_folder(*folders, Preprocessing(), classes=("x", "y"))


def test_groups_name_the_patients_by_file_or_stem(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    groups = tmp_path / "groups.csv"
    groups.write_text("patient,file\np1,a.png\np1,b\n", encoding="utf-8-sig")
    assert read_groups(groups) == {"a": "p1", "b": "p1"}
    data = load_folder(*folders, Preprocessing(), groups=groups)
    assert {item.patient for item in data} == {"p1"}


def test_blanks_around_names_make_no_other_patient(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    groups = tmp_path / "groups.csv"
    groups.write_text("file,patient\na.png,p1 \n b , p1\nb.png,p1\t\n")
    assert read_groups(groups) == {"a": "p1", "b": "p1"}
    data = load_folder(*folders, Preprocessing(), groups=groups)
    assert {item.patient for item in data} == {"p1"}


def test_a_file_of_two_patients_is_refused(tmp_path: Path) -> None:
    groups = tmp_path / "groups.csv"
    groups.write_text("file,patient\na.png,p1\nb,p1\na.png,p2\n")
    with pytest.raises(TrainingError, match=r"csv says that a is of patient 'p1' and of pat.+'p2'"):
        read_groups(groups)


@pytest.mark.parametrize(
    "text", ["name,patient\na,b\n", "file,patient\na.png,\n", "", "\x00\xff", "patient,file\np1\n"]
)
def test_tables_that_do_not_name_every_patient_are_refused(
    folders: tuple[Path, Path], tmp_path: Path, text: str
) -> None:
    groups = tmp_path / "groups.csv"
    groups.write_text(text, encoding="latin-1")
    with pytest.raises(TrainingError, match=r"groups\.csv"):
        load_folder(*folders, Preprocessing(), groups=groups)


def test_a_damaged_scan_is_named(folders: tuple[Path, Path]) -> None:
    damaged = folders[0] / "b.png"
    damaged.write_bytes(damaged.read_bytes()[:100])
    with pytest.raises(ScanError, match=r"b\.png"):
        load_folder(*folders, Preprocessing())


def test_scans_without_masks_carry_no_weight(folders: tuple[Path, Path], tmp_path: Path) -> None:
    groups = tmp_path / "groups.csv"
    groups.write_text("file,patient\na.png,p1\n")
    told: list[tuple[int, int]] = []
    data = load_unlabelled(
        folders[0], Preprocessing(), groups, progress=lambda *step: told.append(step)
    )
    assert [item.patient for item in data] == ["p1", "b"]
    assert all(item.image.shape == (1, 20, 30) for item in data)
    assert not any(bool(item.weight.any()) for item in data)
    assert told == [(1, 2), (2, 2)]
    assert [d.patient for d in load_unlabelled(folders[0], Preprocessing(), besides=["a"])] == ["b"]


def test_nothing_to_learn_from_without_masks_is_refused(folders: tuple[Path, Path]) -> None:
    with pytest.raises(ScanError, match="holds no scan to learn from without a mask"):
        load_unlabelled(folders[0], Preprocessing(), besides=["a", "b"])
    Image.new("RGB", (30, 20), (200, 30, 90)).save(folders[0] / "c.png")
    said = r"^c\.png has colours \(RGB\), but the scans with masks have grey values"
    with pytest.raises(ScanError, match=said):
        load_unlabelled(folders[0], Preprocessing())
    Image.new("L", (30, 20)).save(folders[1] / "c.png")
    with pytest.raises(ScanError, match=said):
        load_folder(*folders, Preprocessing())
