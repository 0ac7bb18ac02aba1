"""Masks: what their values mean, and how they come onto a scan's grid."""

from __future__ import annotations

import logging

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from napari_crii.errors import GeometryError, ScanError
from napari_crii.geometry import Geometry
from napari_crii.io import open_mask, read_mask, read_scan, write_mask
from napari_crii.io.mask import resampled
from napari_crii.volume import Volume
from tests.io.nifti_files import save
from tests.io.raw_files import itk_image


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
    with pytest.raises(GeometryError, match="resample it onto"):
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


def test_a_mask_of_0_and_255_means_class_1(tmp_path, stored):
    labels, _ = read_mask(save(tmp_path / "m.nii.gz", np.where(stored > 0, 255, 0).astype("i2")))
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, stored.T > 0)


@pytest.mark.parametrize(("highest", "dtype"), [(3, "u1"), (255, "u1"), (256, "u2"), (70000, "u4")])
def test_labels_come_in_the_smallest_type(tmp_path, highest, dtype):
    array = np.zeros((4, 3, 2), np.float64)
    array[0, 0, 0], array[1, 1, 1] = 1, highest
    labels, _ = read_mask(save(tmp_path / "m.nii", array))
    assert labels.dtype == dtype
    np.testing.assert_array_equal(labels, array.T)


@pytest.mark.parametrize(
    ("value", "rule"),
    [(-1, "0 upwards"), (0.5, "whole numbers"), (np.nan, "not NaN"), (np.inf, "not NaN")],
)
def test_what_is_no_label_is_refused(tmp_path, stored, value, rule):
    array = np.abs(stored).astype(np.float32)
    array[1, 2, 3] = value
    path = save(tmp_path / "m.nii", array)
    with pytest.raises(ScanError, match=rule):
        read_mask(path)


def test_a_mask_of_another_shape_is_refused(tmp_path, scan):
    write_mask(tmp_path / "m.nii", np.zeros((5, 7, 8), np.uint8), scan.geometry)
    with pytest.raises(GeometryError, match=r"\(5, 7, 8\).*\(5, 7, 9\)"):
        read_mask(tmp_path / "m.nii", like=scan)


def test_real_masks_lie_on_their_real_scans(data_folder):
    folder = data_folder / "msd_hippocampus"
    for path in sorted((folder / "imagesTr").glob("*.nii.gz"))[:20]:
        volume = read_scan(path)
        reference = nib.load(path)
        np.testing.assert_array_equal(volume.array, np.asarray(reference.dataobj).T)
        labels, _ = read_mask(folder / "labelsTr" / path.name, like=volume)
        assert set(np.unique(labels)) == {0, 1, 2}
