"""NIfTI is read as it was meant: voxels, place, volumes, and files that come in two."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from napari_crii.errors import ScanError
from napari_crii.io import is_scan, read_scan, volume_count
from tests.io.files import patched
from tests.io.nifti_files import QFORM_CODE, QUATERNION, RAS, save


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "u4", "f4", "f8", ">i2", ">f4"])
def test_unscaled_voxels_keep_their_type_and_axes_are_reversed(tmp_path, stored, dtype):
    array = np.abs(stored).astype(dtype) % 200
    path = tmp_path / "scan.nii.gz"
    image = nib.Nifti1Image(array, RAS)
    if dtype.startswith(">"):
        image = nib.Nifti1Image(array, RAS, nib.Nifti1Header(endianness=">"))
        image.set_data_dtype(np.dtype(dtype))
    nib.save(image, path)
    volume = read_scan(path)
    assert volume.array.dtype == np.dtype(dtype).newbyteorder("=")
    assert volume.array.flags.c_contiguous
    np.testing.assert_array_equal(volume.array, array.T)
    assert volume.name == "scan"


def test_ras_becomes_lps(tmp_path, stored):
    geometry = read_scan(save(tmp_path / "a.nii", stored)).geometry
    assert geometry.spacing == (5.0, 3.0, 2.0)
    assert geometry.origin == (-10.0, -20.0, 30.0)
    np.testing.assert_array_equal(geometry.direction, [[0, 0, 1], [0, 1, 0], [1, 0, 0]])


def test_a_scale_factor_is_applied_in_float32(tmp_path, stored):
    image = nib.Nifti1Image(stored, RAS)
    image.header.set_slope_inter(0.125, -3.5)
    nib.save(image, tmp_path / "a.nii")
    expected = nib.load(tmp_path / "a.nii").get_fdata().astype(np.float32).T
    volume = read_scan(tmp_path / "a.nii")
    assert volume.array.dtype == np.float32
    np.testing.assert_array_equal(volume.array, expected)
    np.testing.assert_array_equal(volume.array, stored.T * np.float32(0.125) - np.float32(3.5))


def test_the_stored_file_is_not_mapped_into_memory(tmp_path, stored):
    path = save(tmp_path / "a.nii", stored)
    volume = read_scan(path)
    path.write_bytes(b"\0" * path.stat().st_size)
    np.testing.assert_array_equal(volume.array, stored.T)


def test_an_uncoded_orientation_is_told(tmp_path, stored):
    volume = read_scan(patched(save(tmp_path / "a.nii", stored), QFORM_CODE, b"\0" * 4))
    assert any("orientation unknown" in r for r in volume.remarks)
    assert volume.geometry.spacing == (5.0, 3.0, 2.0)


def test_a_qform_serves_where_no_sform_is_coded(tmp_path, stored, oblique):
    affine = np.diag([-1, -1, 1, 1]) @ oblique.affine[:, [2, 1, 0, 3]]
    image = nib.Nifti1Image(stored, affine)
    image.set_qform(affine, 1)
    image.set_sform(None, 0)
    nib.save(image, tmp_path / "a.nii")
    volume = read_scan(tmp_path / "a.nii")
    assert volume.geometry.coincides(oblique, volume.shape)
    assert volume.remarks == ()


@pytest.mark.parametrize(("shift", "told"), [(0.0, False), (0.1, True)])
def test_forms_that_differ_are_told_and_the_sform_wins(tmp_path, stored, shift, told):
    image = nib.Nifti1Image(stored, RAS)
    other = RAS.copy()
    other[0, 3] += shift
    image.set_qform(other, 1)
    image.set_sform(RAS, 1)
    nib.save(image, tmp_path / "a.nii")
    volume = read_scan(tmp_path / "a.nii")
    assert any("the sform was used" in r for r in volume.remarks) == told
    assert volume.geometry.origin == (-10.0, -20.0, 30.0)


def test_a_qform_that_is_no_rotation_does_not_spoil_a_good_sform(tmp_path, stored):
    path = save(tmp_path / "a.nii", stored)
    patched(path, QFORM_CODE, b"\1\0")
    patched(path, QUATERNION, np.full(3, 9.0, np.float32).tobytes())
    volume = read_scan(path)
    assert volume.geometry.origin == (-10.0, -20.0, 30.0)
    assert any("the sform was used" in r for r in volume.remarks)


def test_other_units_become_millimetres(tmp_path, stored):
    image = nib.Nifti1Image(stored, RAS)
    image.header.set_xyzt_units("micron")
    nib.save(image, tmp_path / "a.nii")
    volume = read_scan(tmp_path / "a.nii")
    np.testing.assert_allclose(volume.geometry.spacing, (5e-3, 3e-3, 2e-3))
    assert any("micron" in r for r in volume.remarks)


def test_voxels_that_are_not_finite_are_mended_and_told(tmp_path, stored):
    array = stored.astype(np.float32)
    array[0, 0, 0], array[1, 0, 0], array[2, 0, 0] = np.nan, np.inf, -np.inf
    rest = array[np.isfinite(array)]
    volume = read_scan(save(tmp_path / "a.nii", array))
    assert volume.array[0, 0, :3].tolist() == [rest.min(), rest.max(), rest.min()]
    assert any(r.startswith("3 voxels") for r in volume.remarks)


def test_trailing_axes_of_length_one_are_dropped(tmp_path, stored):
    volume = read_scan(save(tmp_path / "a.nii.gz", stored[..., np.newaxis, np.newaxis]))
    assert volume.shape == (5, 7, 9)


def test_a_flat_image_is_one_slice(tmp_path, stored):
    assert read_scan(save(tmp_path / "a.nii", stored[..., 0])).shape == (1, 7, 9)


def test_the_right_one_of_a_confusable_pair_is_read(tmp_path, stored):
    save(tmp_path / "a.nii", stored)
    save(tmp_path / "a.nii.gz", stored + 1)
    np.testing.assert_array_equal(read_scan(tmp_path / "a.nii.gz").array, stored.T + 1)
    np.testing.assert_array_equal(read_scan(tmp_path / "a.nii").array, stored.T)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".hdr"])
def test_each_volume_of_a_4d_file_is_read_by_its_index(tmp_path, stored, suffix):
    stacks = np.stack([stored, stored + 1, stored - 5], axis=-1)
    path = tmp_path / f"a{suffix}"
    image = nib.Nifti1Pair(stacks, RAS) if suffix == ".hdr" else nib.Nifti1Image(stacks, RAS)
    nib.save(image, path)
    assert volume_count(path) == 3
    with pytest.raises(ScanError, match="holds 3 volumes: choose one with volume index 0 to 2"):
        read_scan(path)
    for index in range(3):
        volume = read_scan(path, volume_index=index)
        np.testing.assert_array_equal(volume.array, stacks[..., index].T)
        assert volume.geometry.origin == (-10.0, -20.0, 30.0)
        assert f"volume {index} of volumes 0 to 2" in volume.remarks
    with pytest.raises(ScanError, match="0 to 2, not 3"):
        read_scan(path, volume_index=3)


def test_a_scale_is_applied_to_the_volume_that_was_chosen(tmp_path, stored):
    stacks = np.stack([stored, stored[::-1]], axis=-1).astype(np.float32) * 0.37
    image = nib.Nifti1Image(stacks, RAS, dtype=np.int16)
    image.set_data_dtype(np.int16)
    nib.save(image, tmp_path / "a.nii.gz")
    expected = nib.load(tmp_path / "a.nii.gz").get_fdata()[..., 1].T
    volume = read_scan(tmp_path / "a.nii.gz", 1)
    assert volume.array.dtype == np.float32
    np.testing.assert_allclose(volume.array, expected, rtol=1e-6)


def test_one_volume_has_index_0_and_no_other(tmp_path, stored):
    path = save(tmp_path / "a.nii", stored)
    assert volume_count(path) == 1
    np.testing.assert_array_equal(read_scan(path, 0).array, stored.T)
    with pytest.raises(ScanError, match="holds one volume, so there is no volume index 1"):
        read_scan(path, 1)


@pytest.mark.parametrize("opened", [".hdr", ".img"])
def test_a_pair_is_opened_by_either_of_its_files(tmp_path, stored, opened):
    nib.save(nib.Nifti1Pair(stored, RAS), tmp_path / "a.img")
    path = tmp_path / f"a{opened}"
    assert is_scan(path)
    volume = read_scan(path)
    np.testing.assert_array_equal(volume.array, stored.T)
    assert volume.geometry.origin == (-10.0, -20.0, 30.0)
    theirs = sitk.ReadImage(str(tmp_path / "a.hdr"))
    np.testing.assert_allclose(volume.geometry.origin, theirs.GetOrigin(), atol=1e-4)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(theirs), volume.array)
    assert volume.name == "a"


def test_analyze_is_read_and_its_orientation_called_unknown(tmp_path, stored):
    image = nib.AnalyzeImage(stored, np.diag([2.0, 3.0, 5.0, 1.0]))
    nib.save(image, tmp_path / "a.hdr")
    volume = read_scan(tmp_path / "a.hdr")
    np.testing.assert_array_equal(volume.array, stored.T)
    assert volume.geometry.spacing == (5.0, 3.0, 2.0)
    assert any("orientation unknown" in r for r in volume.remarks)
