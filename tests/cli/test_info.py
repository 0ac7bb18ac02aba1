"""`info`: what a scan is, and nothing about whom it shows."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from napari_crii.geometry import Geometry
from napari_crii.orientation import letters, opposite


def test_json_tells_the_grid_and_the_intensities(as_json, scan_file: Path) -> None:
    facts = as_json("info", scan_file)
    assert list(facts) == [
        "scan", "shape", "channels", "spacing", "unit", "pixel_spacing", "origin", "orientation",
        "oblique", "sheared", "slice_axis", "slices", "type", "intensity", "remarks",
        "volumes",
    ]  # fmt: skip
    assert facts["shape"] == [6, 32, 40]
    assert facts["spacing"] == pytest.approx([3.0, 0.9, 1.1])
    assert (facts["unit"], facts["slice_axis"], facts["slices"]) == ("mm", 0, 6)
    assert facts["pixel_spacing"] == pytest.approx([0.9, 1.1])
    assert facts["oblique"]
    assert not facts["sheared"]
    assert facts["orientation"] == "SPL"
    assert facts["intensity"][0] < facts["intensity"][1]


def test_an_image_has_pixels_and_no_orientation(as_json, png: Path) -> None:
    facts = as_json("info", png)
    assert (facts["unit"], facts["origin"], facts["orientation"]) == ("px", None, None)
    assert facts["pixel_spacing"] is None


def test_the_table_says_the_same_in_words(run, scan_file: Path, png: Path) -> None:
    text = run("info", scan_file).stdout
    assert "6 x 32 x 40" in text
    assert "SPL, oblique" in text
    assert "pixel        0.9 x 1.1 mm" in text
    image = run("info", png).stdout
    assert "orientation  unknown" in image
    assert "pixel        the file tells no size" in image


def test_a_scan_whose_file_tells_no_orientation_gets_no_letters(
    as_json, run, tmp_path: Path
) -> None:
    path = tmp_path / "uncoded.nii"
    image = nib.Nifti1Image(np.zeros((3, 4, 5), dtype=np.int16), None)
    image.header["sform_code"] = image.header["qform_code"] = 0
    nib.save(image, path)
    facts = as_json("info", path)
    assert facts["orientation"] is None
    assert facts["pixel_spacing"] == [1.0, 1.0]
    assert "orientation  unknown" in run("info", path).stdout
    assert "remark       orientation unknown: " in run("info", path).stdout


def test_a_scan_of_several_volumes_is_described_one_by_one(
    as_json, refused, run, tmp_path: Path
) -> None:
    path = tmp_path / "phases.nii"
    values = np.broadcast_to(np.arange(3, dtype=np.int16), (5, 4, 3, 3)).copy()
    nib.save(nib.Nifti1Image(values, np.eye(4)), path)
    first, last = as_json("info", path), as_json("info", path, "--volume-index", 2)
    assert (first["volumes"], first["intensity"]) == (3, [0, 0])
    assert (last["volumes"], last["intensity"]) == (3, [2, 2])
    assert last["remarks"] == ["volume 2 of volumes 0 to 2"]
    assert "volumes      3" in run("info", path).stdout
    assert "volumes" in refused("info", path, "--volume-index", 3)


def test_letters_name_each_direction_once_however_oblique() -> None:
    diagonal = 0.5**0.5
    turned = Geometry(
        direction=((0.0, 0.0, -1.0), (diagonal, -diagonal, 0.0), (diagonal, diagonal, 0.0))
    )
    assert letters(Geometry()) == "SPL"
    assert sorted(letters(turned)) in (sorted("IPL"), sorted("IAL"))
    assert [opposite(letter) for letter in "LPSRAI"] == list("RAILPS")


def test_no_patient_data_is_told(run, data_folder: Path) -> None:
    result = run("info", data_folder / "sunnybrook_dicom" / "SC-HF-I-01" / "ED_dicom")
    assert result.exit_code == 0
    assert "1.2.840" not in result.output
    assert "UID" not in result.output
