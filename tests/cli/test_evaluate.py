"""`evaluate`: which masks are compared, on which grid, and what the figures mean."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_crii.geometry import Geometry
from napari_crii.io import read_mask, write_mask

GRID = Geometry(spacing=(4.0, 1.5, 2.0))


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("predictions", "labels"):
        (tmp_path / name).mkdir()
    return tmp_path / "predictions", tmp_path / "labels"


def _cube(*first: int, label: int = 1) -> np.ndarray:
    mask = np.zeros((8, 12, 14), dtype=np.uint8)
    mask[tuple(slice(start, start + 4) for start in first)] = label
    return mask


def _options(folders: tuple[Path, Path]) -> tuple[object, ...]:
    return "--predictions", folders[0], "--labels", folders[1]


def test_equal_masks_score_best_and_maps_beside_them_are_ignored(
    as_json, phantom_folder: Path, folders: tuple[Path, Path]
) -> None:
    truth = phantom_folder / "labels"
    labels, geometry = read_mask(truth / "one.nii.gz")
    write_mask(folders[0] / "one_mask.nii.gz", labels, geometry)
    (folders[0] / "one_refined.nii.gz").write_bytes(b"not looked at")
    report = as_json("evaluate", "--predictions", folders[0], "--labels", truth)
    assert report["unit"] == "mm"
    for label in ("1", "2"):
        assert report["cases"][0]["classes"][label] == {"dice": 1.0, "nsd": 1.0, "hd95": 0.0}
        assert report["mean"][label]["cases"] == 1


def test_distances_are_in_mm_along_the_axis_of_the_shift(
    as_json, folders: tuple[Path, Path]
) -> None:
    write_mask(folders[0] / "a.nii.gz", _cube(2, 2, 4), GRID)
    write_mask(folders[1] / "a.nii.gz", _cube(2, 2, 2), GRID)
    scores = as_json("evaluate", *_options(folders))["mean"]["1"]
    assert scores["dice"] == pytest.approx(0.5)
    assert scores["hd95"] == pytest.approx(4.0)


def test_a_class_that_one_mask_lacks_has_no_finite_distance(
    as_json, run, folders: tuple[Path, Path]
) -> None:
    write_mask(folders[0] / "a.nii.gz", _cube(2, 2, 2, label=2), GRID)
    write_mask(folders[1] / "a.nii.gz", _cube(2, 2, 2), GRID)
    mean = as_json("evaluate", *_options(folders))["mean"]
    assert mean["1"] == {"dice": 0, "nsd": 0, "hd95": None, "cases": 1, "hd95_infinite": 1}
    assert "(1 infinite left out)" in run("evaluate", *_options(folders)).stdout


def test_masks_on_other_grids_are_refused(refused, folders: tuple[Path, Path]) -> None:
    write_mask(folders[0] / "a.nii.gz", _cube(2, 2, 2), replace(GRID, origin=(0.0, 0.0, 0.01)))
    write_mask(folders[1] / "a.nii.gz", _cube(2, 2, 2), GRID)
    assert "0.01 mm away" in refused("evaluate", *_options(folders))


def test_masks_of_other_shapes_are_refused(refused, folders: tuple[Path, Path]) -> None:
    write_mask(folders[0] / "a.nii.gz", _cube(2, 2, 2)[:5], GRID)
    write_mask(folders[1] / "a.nii.gz", _cube(2, 2, 2), GRID)
    assert "(5, 12, 14) voxels" in refused("evaluate", *_options(folders))


def test_images_are_scored_in_pixels_and_255_means_1(
    as_json, run, folders: tuple[Path, Path]
) -> None:
    square = _cube(2, 2, 2)[3]
    Image.fromarray(np.roll(square, 2, axis=1)).save(folders[0] / "a_mask.png")
    Image.fromarray(square * 255).save(folders[1] / "a.png")
    Image.fromarray(square * 255).save(folders[1] / "b.png")
    report = as_json("evaluate", *_options(folders))
    assert report["unit"] == "px"
    assert report["labels_without_prediction"] == ["b.png"]
    assert report["mean"]["1"]["hd95"] == pytest.approx(2.0)
    result = run("evaluate", *_options(folders))
    assert "HD95 (px)" in result.stdout
    assert "b.png" in result.stderr


def test_ambiguous_or_absent_predictions_are_refused(refused, folders: tuple[Path, Path]) -> None:
    write_mask(folders[1] / "a.nii.gz", _cube(2, 2, 2), GRID)
    assert "is called NAME or NAME_mask" in refused("evaluate", *_options(folders))
    for name in ("a", "a_mask"):
        write_mask(folders[0] / f"{name}.nii.gz", _cube(2, 2, 2), GRID)
    assert "both are predictions" in refused("evaluate", *_options(folders))


def test_truncated_predictions_are_named(refused, folders: tuple[Path, Path]) -> None:
    write_mask(folders[1] / "a.nii.gz", _cube(2, 2, 2), GRID)
    (folders[0] / "a.nii.gz").write_bytes((folders[1] / "a.nii.gz").read_bytes()[:-30])
    assert "predictions/a.nii.gz" in refused("evaluate", *_options(folders))


def test_empty_masks_have_no_scores(run, folders: tuple[Path, Path]) -> None:
    for folder in folders:
        write_mask(folder / "a.nii.gz", np.zeros((3, 4, 5), dtype=np.uint8), GRID)
    result = run("evaluate", *_options(folders))
    assert result.exit_code == 0
    assert "both masks are empty" in result.stdout
