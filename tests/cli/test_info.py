"""`info`: what a scan is, and nothing about whom it shows."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from napari_crii.cli._orientation import letters, opposite
from napari_crii.geometry import Geometry


def test_json_tells_the_grid_and_the_intensities(as_json, scan_file: Path) -> None:
    facts = as_json("info", scan_file)
    assert list(facts) == [
        "scan", "shape", "channels", "spacing", "unit", "origin", "orientation", "oblique",
        "sheared", "slice_axis", "slices", "type", "intensity", "remarks",
    ]  # fmt: skip
    assert facts["shape"] == [6, 32, 40]
    assert facts["spacing"] == pytest.approx([3.0, 0.9, 1.1])
    assert (facts["unit"], facts["slice_axis"], facts["slices"]) == ("mm", 0, 6)
    assert facts["oblique"]
    assert not facts["sheared"]
    assert facts["orientation"] == "SPL"
    assert facts["intensity"][0] < facts["intensity"][1]


def test_an_image_has_pixels_and_no_orientation(as_json, png: Path) -> None:
    facts = as_json("info", png)
    assert (facts["unit"], facts["origin"], facts["orientation"]) == ("px", None, None)


def test_the_table_says_the_same_in_words(run, scan_file: Path, png: Path) -> None:
    text = run("info", scan_file).stdout
    assert "6 x 32 x 40" in text
    assert "SPL, oblique" in text
    assert "orientation  unknown" in run("info", png).stdout


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


def test_a_scan_of_several_volumes_asks_for_one(refused, as_json, tmp_path: Path) -> None:
    stacks = np.arange(2 * 3 * 4 * 5, dtype=np.int16).reshape(5, 4, 3, 2)
    nib.save(nib.Nifti1Image(stacks, np.eye(4)), tmp_path / "cine.nii.gz")
    asked = refused("info", tmp_path / "cine.nii.gz")
    assert "holds 2 volumes: choose one with volume index 0 to 1" in asked
    facts = as_json("info", tmp_path / "cine.nii.gz", "--volume-index", "1")
    assert facts["shape"] == [3, 4, 5]
    assert facts["intensity"][0] == 1
