"""Masks: what their values mean, and how they come onto a scan's grid."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from napari_crii.errors import GeometryError
from napari_crii.geometry import Geometry
from napari_crii.io import open_mask, read_mask, read_scan, write_mask
from napari_crii.io.mask import resampled
from napari_crii.volume import Volume


def itk_image(array: np.ndarray, geometry: Geometry) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(geometry.spacing[::-1])
    image.SetOrigin(geometry.origin)
    image.SetDirection(np.array(geometry.direction)[::-1].T.ravel())
    return image


@pytest.fixture
def coarse(oblique: Geometry) -> Geometry:
    """Return another oblique grid over about the same place, turned against the first."""
    a = np.radians(17.0)
    turn = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.array(oblique.direction).T * (2.3, 1.7, 0.9)
    affine[:3, 3] = np.add(oblique.origin, (0.31, -0.77, 0.13))
    return Geometry.from_affine(affine)


def test_resampling_between_oblique_grids_equals_simpleitk(oblique, coarse, rng):
    labels = rng.integers(0, 6, (9, 11, 13)).astype(np.uint8)
    moved = resampled(labels, coarse, oblique, (5, 7, 9))
    like = itk_image(np.zeros((5, 7, 9), np.uint8), oblique)
    nearest = sitk.sitkNearestNeighbor
    theirs = sitk.Resample(itk_image(labels, coarse), like, sitk.Transform(), nearest)
    np.testing.assert_array_equal(moved, sitk.GetArrayFromImage(theirs))
    assert moved.any()


def test_resampling_onto_its_own_grid_changes_nothing(oblique, rng):
    labels = rng.integers(0, 300, (4, 5, 6)).astype(np.uint16)
    np.testing.assert_array_equal(resampled(labels, oblique, oblique, (4, 5, 6)), labels)


def test_resampling_equals_a_search_for_the_voxel_that_holds_each_point(oblique, coarse, rng):
    labels = rng.integers(1, 9, (3, 4, 5)).astype(np.uint8)
    moved = resampled(labels, oblique, coarse, (6, 5, 4))
    for index in np.ndindex(6, 5, 4):
        point = np.linalg.solve(oblique.affine, coarse.affine @ (*index, 1))[:3]
        near = np.rint(point).astype(int)
        inside = ((near >= 0) & (near < labels.shape)).all()
        assert moved[index] == (labels[tuple(near)] if inside else 0)


def test_a_sheared_scan_takes_masks_of_straight_grids(oblique, rng):
    matrix = oblique.affine
    matrix[:3, 0] += 0.4 * matrix[:3, 1]
    sheared = Geometry.from_affine(matrix)
    wide = Geometry(oblique.spacing, oblique.corners((5, 7, 9)).min(axis=0) - 5)
    labels = np.ones((12, 60, 40), np.uint8)
    assert resampled(labels, wide, sheared, (3, 4, 5)).all()


def test_a_mask_on_another_grid_is_refused_with_the_offer_and_resampled_on_request(
    tmp_path, scan, coarse, rng, caplog
):
    write_mask(tmp_path / "m.nii.gz", rng.integers(0, 5, (9, 11, 13)), coarse)
    with pytest.raises(GeometryError, match="resample=True"):
        read_mask(tmp_path / "m.nii.gz", like=scan)
    mask = open_mask(tmp_path / "m.nii.gz", like=scan, resample=True)
    assert mask.labels.shape == scan.shape
    assert mask.geometry == scan.geometry
    assert "resampled" in " ".join(mask.remarks)
    with caplog.at_level(logging.INFO, "napari_crii.io"):
        labels, geometry = read_mask(tmp_path / "m.nii.gz", like=scan, resample=True)
    np.testing.assert_array_equal(labels, mask.labels)
    assert geometry == scan.geometry
    assert "resampled" in caplog.text


def test_a_mask_on_the_scans_grid_is_not_touched_by_the_offer(tmp_path, scan, labels):
    write_mask(tmp_path / "m.nrrd", labels, scan.geometry)
    mask = open_mask(tmp_path / "m.nrrd", like=scan, resample=True)
    np.testing.assert_array_equal(mask.labels, labels)
    assert mask.remarks == ()


def test_an_image_without_a_place_is_never_resampled(tmp_path, scan):
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "m.png")
    with pytest.raises(GeometryError) as refusal:
        read_mask(tmp_path / "m.png", like=scan, resample=True)
    assert "resample" not in str(refusal.value)


def tiles(count: int) -> np.ndarray:
    """Return a picture of `count` squares, numbered from 1."""
    picture = np.zeros((5, 5 * count), np.uint16)
    for number in range(count):
        picture[1:4, 5 * number + 1 : 5 * number + 4] = number + 1
    return picture


@pytest.mark.parametrize(
    ("count", "asked", "highest"),
    [(30, None, 1), (30, False, 30), (30, True, 1), (4, None, 4), (4, True, 1)],
)
def test_numbered_objects_of_an_image_are_one_class_unless_asked(tmp_path, count, asked, highest):
    Image.fromarray(tiles(count)).save(tmp_path / "m.png")
    mask = open_mask(tmp_path / "m.png", instances=asked)
    assert mask.labels.max() == highest
    np.testing.assert_array_equal(mask.labels[0] > 0, tiles(count) > 0)
    assert bool(mask.remarks) == (highest != count)


def test_classes_that_lie_in_many_pieces_are_no_instances(tmp_path, rng):
    array = rng.integers(0, 20, (40, 40)).astype(np.uint8)
    Image.fromarray(array).save(tmp_path / "m.png")
    np.testing.assert_array_equal(open_mask(tmp_path / "m.png").labels[0], array)


def test_many_organs_of_a_volume_stay_classes(tmp_path, oblique):
    write_mask(tmp_path / "m.mha", tiles(30)[None], oblique)
    assert open_mask(tmp_path / "m.mha").labels.max() == 30


def test_real_nuclei_are_one_class(data_folder):
    folder = data_folder / "dsb2018" / "labels"
    for path in sorted(folder.glob("*.png"))[:12]:
        raw = read_scan(path).array
        mask = open_mask(path)
        np.testing.assert_array_equal(mask.labels > 0, raw > 0)
        if raw.max() > 10:
            assert mask.labels.max() == 1


def test_a_mask_without_size_takes_the_grid_of_its_scan(tmp_path, oblique):
    Image.fromarray(np.eye(4, dtype=np.uint8)).save(tmp_path / "m.png")
    like = Volume(np.zeros((1, 4, 4), np.uint8), oblique)
    assert read_mask(tmp_path / "m.png", like=like)[1] == oblique
