"""A grid stays where it is, whatever is done to the array and through whatever file it goes."""

from __future__ import annotations

import itertools
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_crii.errors import GeometryError
from napari_crii.geometry import Geometry
from napari_crii.io import read_mask, read_scan, write_map, write_mask
from napari_crii.volume import Volume

SHAPE = (5, 7, 9)
ORDERS = list(itertools.permutations(range(3)))
FLIPS = list(itertools.product((False, True), repeat=3))
ALIGNED = Geometry((4.0, 0.7, 1.3), (10.0, -20.0, 30.0))


def rotation(angles) -> np.ndarray:
    """Return a right-handed orthonormal matrix from three angles."""
    matrix = np.eye(3)
    for (i, j), angle in zip(((0, 1), (1, 2), (0, 2)), angles, strict=True):
        turn = np.eye(3)
        turn[i, i] = turn[j, j] = np.cos(angle)
        turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
        matrix = matrix @ turn
    return matrix


@st.composite
def affines(draw) -> np.ndarray:
    angle = st.floats(-np.pi, np.pi)
    affine = np.eye(4)
    spacing = draw(st.tuples(*[st.floats(0.05, 20.0)] * 3))
    affine[:3, :3] = rotation(draw(st.tuples(angle, angle, angle))) * spacing
    affine[:3, 3] = draw(st.tuples(*[st.floats(-500, 500)] * 3))
    return affine


def reordered(array, geometry, order, flips):
    """Return an array with its axes permuted, then flipped, and its grid."""
    array, geometry = array.transpose(order), geometry.transposed(order)
    for axis, flip in enumerate(flips):
        if flip:
            geometry = geometry.flipped(axis, array.shape)
            array = np.flip(array, axis)
    return np.ascontiguousarray(array), geometry


def values_at_positions_of(original: Volume, array, affine) -> np.ndarray:
    """Look up the original's values where another grid's voxels lie."""
    indices = np.indices(array.shape).reshape(3, -1)
    positions = affine @ np.vstack((indices, np.ones(indices.shape[1])))
    z, y, x = np.rint((np.linalg.inv(original.geometry.affine) @ positions)[:3]).astype(int)
    return original.array[z, y, x].reshape(array.shape)


def read_with_simpleitk(path: Path):
    image = sitk.ReadImage(str(path))
    array = sitk.GetArrayFromImage(image)
    affine = np.eye(4)
    affine[:3, 3] = image.TransformIndexToPhysicalPoint((0, 0, 0))
    for axis in range(3):
        step = [0, 0, 0]
        step[2 - axis] = 1
        affine[:3, axis] = np.subtract(image.TransformIndexToPhysicalPoint(step), affine[:3, 3])
    return array, affine


def read_with_nibabel(path: Path):
    image = nib.load(path)
    array = np.asarray(image.dataobj).T
    affine = np.diag([-1, -1, 1, 1]) @ image.affine
    return array, affine[:, [2, 1, 0, 3]]


@pytest.mark.parametrize("flips", FLIPS, ids=lambda f: "".join("-" if x else "+" for x in f))
@pytest.mark.parametrize("order", ORDERS, ids=lambda o: "".join("zyx"[a] for a in o))
@pytest.mark.parametrize("aligned", [True, False], ids=["aligned", "oblique"])
def test_every_axis_order_survives_nifti_in_three_readers(
    tmp_path, labels, oblique, order, flips, aligned
):
    original = Volume(labels, ALIGNED if aligned else oblique)
    array, geometry = reordered(labels, original.geometry, order, flips)
    mask, heat = tmp_path / "mask.nii.gz", tmp_path / "map.nii"
    write_mask(mask, array, geometry)
    write_map(heat, array.astype(np.float32) / 3, geometry)
    ours = read_scan(mask)
    readings = {
        "ours": (ours.array, ours.geometry.affine),
        "SimpleITK": read_with_simpleitk(mask),
        "nibabel": read_with_nibabel(mask),
    }
    for reader, (voxels, affine) in readings.items():
        np.testing.assert_array_equal(voxels, array, err_msg=reader)
        assert voxels.dtype == np.uint8, reader
        np.testing.assert_array_equal(values_at_positions_of(original, voxels, affine), voxels)
        assert Geometry.from_affine(affine).corner_distance(geometry, array.shape) < 1e-3, reader
    np.testing.assert_array_equal(read_scan(heat).array, array.astype(np.float32) / 3)
    assert read_scan(heat).geometry.coincides(geometry, array.shape)
    assert ours.remarks == ()


@pytest.mark.parametrize("order", ORDERS, ids=lambda o: "".join("zyx"[a] for a in o))
def test_files_of_other_writers_are_read_where_they_put_them(tmp_path, scan, order):
    array, geometry = reordered(scan.array, scan.geometry, order, (True, False, True))
    columns = np.array(geometry.direction)[::-1].T
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(geometry.spacing[::-1])
    image.SetOrigin(geometry.origin)
    image.SetDirection(columns.reshape(-1).tolist())
    sitk.WriteImage(image, str(tmp_path / "sitk.nii.gz"))
    ras = np.diag([-1, -1, 1, 1]) @ geometry.affine[:, [2, 1, 0, 3]]
    nib.save(nib.Nifti2Image(array.T, ras), tmp_path / "nib.nii")
    for name in ("sitk.nii.gz", "nib.nii"):
        volume = read_scan(tmp_path / name)
        np.testing.assert_array_equal(volume.array, array)
        assert volume.array.dtype == np.int16
        assert volume.geometry.coincides(geometry, array.shape), name


def test_a_sheared_grid_keeps_its_shear_through_a_file(tmp_path, labels):
    affine = np.diag([4.0, 0.7, 1.3, 1.0])[[2, 1, 0, 3]]
    affine[1, 0] = 1.2
    geometry = Geometry.from_affine(affine)
    assert geometry.is_sheared
    write_mask(tmp_path / "tilted.nii.gz", labels, geometry)
    volume = read_scan(tmp_path / "tilted.nii.gz")
    assert volume.geometry.is_sheared
    assert volume.geometry.coincides(geometry, labels.shape)
    assert volume.remarks == ()
    np.testing.assert_allclose(read_with_nibabel(tmp_path / "tilted.nii.gz")[1], affine, atol=1e-5)


def test_a_mask_off_the_scan_by_more_than_a_thousandth_of_a_millimetre_is_refused(
    tmp_path, scan, labels
):
    affine = scan.geometry.affine
    for shift, fits in ((5e-4, True), (3e-3, False)):
        affine[0, 3] = scan.geometry.origin[0] + shift
        write_mask(tmp_path / "mask.nii.gz", labels, Geometry.from_affine(affine))
        if fits:
            assert read_mask(tmp_path / "mask.nii.gz", like=scan)[0].shape == scan.shape
        else:
            with pytest.raises(GeometryError, match="mm away"):
                read_mask(tmp_path / "mask.nii.gz", like=scan)


@given(affines())
def test_from_affine_is_undone_by_affine(affine):
    np.testing.assert_allclose(Geometry.from_affine(affine).affine, affine, atol=1e-9)


@given(affines(), st.permutations(range(3)), st.tuples(*[st.booleans()] * 3))
@settings(max_examples=50)
def test_transposing_and_flipping_move_no_voxel(affine, order, flips):
    geometry = Geometry.from_affine(affine)
    original = Volume(np.arange(np.prod(SHAPE)).reshape(SHAPE), geometry)
    array, moved = reordered(original.array, geometry, order, flips)
    found = values_at_positions_of(original, array, moved.affine)
    np.testing.assert_array_equal(found, array)


@given(affines(), st.permutations(range(3)), st.integers(0, 2))
def test_transposing_and_flipping_can_be_undone(affine, order, axis):
    geometry = Geometry.from_affine(affine)
    back = geometry.transposed(order).transposed(np.argsort(order))
    assert back.coincides(geometry, SHAPE)
    assert geometry.flipped(axis, SHAPE).flipped(axis, SHAPE).coincides(geometry, SHAPE, 1e-9)


@given(affines(), st.integers(0, 2), st.floats(0.01, 5.0))
def test_coincides_compares_the_farthest_corner(affine, axis, shift):
    geometry = Geometry.from_affine(affine)
    affine = affine.copy()
    affine[axis, 3] += shift
    moved = Geometry.from_affine(affine)
    assert geometry.corner_distance(moved, SHAPE) == pytest.approx(shift, abs=1e-6)
    assert geometry.coincides(moved, SHAPE, shift + 1e-6)
    assert not geometry.coincides(moved, SHAPE, shift - 1e-6)
    assert moved.coincides(geometry, SHAPE, shift + 1e-6)


def test_corners_are_the_extreme_voxels_in_array_order():
    corners = ALIGNED.corners((3, 4, 5))
    assert corners.shape == (8, 3)
    np.testing.assert_allclose(corners[0], (10, -20, 30))
    np.testing.assert_allclose(corners[1], (10 + 4 * 1.3, -20, 30))
    np.testing.assert_allclose(corners[-1], (10 + 4 * 1.3, -20 + 3 * 0.7, 30 + 2 * 4.0))


@pytest.mark.parametrize(
    ("spacing", "expected"),
    [((4.0, 0.7, 1.3), 0), ((1.0, 3.0, 1.0), 1), ((1.0, 1.0, 1.005), 0), ((1.0, 1.0, 1.0), 0)],
)
def test_slices_are_stepped_along_the_thickest_axis_or_the_axial_one(spacing, expected):
    assert Geometry(spacing).slice_axis == expected
    assert Geometry(spacing).transposed((2, 1, 0)).slice_axis == 2 - expected


def test_oblique_means_off_the_patients_axes(oblique):
    assert oblique.is_oblique
    assert not oblique.is_sheared
    assert not ALIGNED.is_oblique


@pytest.mark.parametrize(
    "wrong",
    [
        {"spacing": (0.0, 1.0, 1.0)},
        {"spacing": (-1.0, 1.0, 1.0)},
        {"spacing": (np.nan, 1.0, 1.0)},
        {"origin": (np.inf, 0.0, 0.0)},
        {"direction": ((0, 0, 1.0), (0, 1.0, 0), (0, 1.0, 0))},
        {"direction": ((0, 0, 2.0), (0, 1.0, 0), (1.0, 0, 0))},
    ],
)
def test_what_is_no_grid_is_refused(wrong):
    with pytest.raises(GeometryError):
        Geometry(**wrong)


@pytest.mark.parametrize("bad", [np.zeros((4, 4)), np.full((4, 4), np.nan), np.ones((4, 4))])
def test_an_affine_that_cannot_be_inverted_is_refused(bad):
    with pytest.raises(GeometryError):
        Geometry.from_affine(bad)
