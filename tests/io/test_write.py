"""What each format holds of labels and maps, read back by us and by other libraries."""

from __future__ import annotations

import itertools

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
from PIL import Image

from napari_crii.errors import WriteError
from napari_crii.geometry import Geometry
from napari_crii.io import read_mask, read_scan, write_map, write_mask
from tests.io.files import only

PIXELS = Geometry.pixels()


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii"])
@pytest.mark.parametrize(("highest", "dtype"), [(1, "u1"), (255, "u1"), (256, "u2"), (70000, "u4")])
def test_labels_take_the_smallest_type_and_come_back(tmp_path, oblique, suffix, highest, dtype):
    labels = np.zeros((2, 3, 4), np.int64)
    labels[0, 1, 2], labels[1, 1, 1] = highest, 1
    path = tmp_path / f"mask{suffix}"
    write_mask(path, labels, oblique)
    assert nib.load(path).get_data_dtype() == dtype
    back, geometry = read_mask(path)
    np.testing.assert_array_equal(back, labels)
    assert geometry.coincides(oblique, labels.shape)
    assert only(tmp_path) == {path.name}


def test_both_forms_are_coded_and_agree(tmp_path, oblique, labels):
    write_mask(tmp_path / "m.nii.gz", labels, oblique)
    header = nib.load(tmp_path / "m.nii.gz").header
    assert (int(header["sform_code"]), int(header["qform_code"])) == (1, 1)
    np.testing.assert_allclose(header.get_sform(), header.get_qform(), atol=1e-4)
    assert header.get_xyzt_units()[0] == "mm"


@pytest.mark.parametrize(("highest", "dtype"), [(3, "u1"), (300, "u2")])
def test_a_png_holds_label_values_as_they_are(tmp_path, highest, dtype):
    labels = np.array([[[0, 1, 2], [3, 0, highest]]])
    write_mask(tmp_path / "m.png", labels, PIXELS)
    with Image.open(tmp_path / "m.png") as image:
        written = np.asarray(image)
    assert written.dtype == dtype
    np.testing.assert_array_equal(written, labels[0])
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png")[0], labels)


def test_a_packed_mask_depends_on_nothing_but_its_voxels_and_grid(tmp_path, labels, oblique):
    for name in ("patient_name.nii.gz", "other.nii.gz"):
        write_mask(tmp_path / name, labels, oblique)
    first, second = ((tmp_path / n).read_bytes() for n in only(tmp_path))
    assert first == second


def test_booleans_are_labels(tmp_path, labels):
    write_mask(tmp_path / "m.nii", labels > 1, Geometry())
    np.testing.assert_array_equal(read_mask(tmp_path / "m.nii")[0], labels > 1)


def test_maps_are_float32_in_nifti_and_tiff(tmp_path, oblique, rng):
    values = rng.normal(size=(1, 6, 8))
    write_map(tmp_path / "a.nii.gz", values, oblique)
    write_map(tmp_path / "a.tif", values, PIXELS)
    for back in (read_scan(tmp_path / "a.nii.gz").array, read_scan(tmp_path / "a.tif").array):
        assert back.dtype == np.float32
        np.testing.assert_array_equal(back, values.astype(np.float32))
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), values[0].astype("f4"))


@pytest.mark.parametrize(
    ("name", "labels", "rule"),
    [
        ("m.nii.gz", np.full((2, 2, 2), -1), "negative"),
        ("m.nii.gz", np.full((2, 2, 2), 0.5), "integer"),
        ("m.nii.gz", np.zeros((2, 2), int), "integer labels"),
        ("m.nii.gz", np.zeros((0, 2, 2), int), "integer labels"),
        ("m.png", np.zeros((2, 2, 2), int), "choose .nii.gz"),
        ("m.png", np.full((1, 2, 2), 65536), "65535"),
        ("m.mhd", np.zeros((2, 2, 2), int), "ends in .nii.gz"),
        ("m", np.zeros((2, 2, 2), int), "ends in .nii.gz"),
    ],
)
def test_what_a_format_cannot_hold_is_refused_before_writing(tmp_path, name, labels, rule):
    with pytest.raises(WriteError, match=rule):
        write_mask(tmp_path / name, labels, PIXELS)
    assert only(tmp_path) == set()


@pytest.mark.parametrize("name", ["m.png", "m.tif"])
def test_a_stack_with_a_size_is_no_image(tmp_path, labels, oblique, name):
    with pytest.raises(WriteError, match="single image"):
        write_mask(tmp_path / name, labels, oblique)
    with pytest.raises(WriteError, match=r"single image|real numbers"):
        write_map(tmp_path / name, labels, oblique)
    assert only(tmp_path) == set()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_maps_without_finite_values_are_refused(tmp_path, bad):
    with pytest.raises(WriteError, match="finite"):
        write_map(tmp_path / "m.nii", np.full((1, 2, 2), bad), PIXELS)


@pytest.mark.parametrize(("first", "second"), [("a.nii", "a.nii.gz"), ("a.nii.gz", "a.nii")])
def test_a_confusable_pair_is_never_created(tmp_path, labels, first, second):
    write_mask(tmp_path / first, labels, Geometry())
    with pytest.raises(WriteError, match="mistaken"):
        write_mask(tmp_path / second, labels, Geometry())
    assert only(tmp_path) == {first}


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
@pytest.mark.parametrize(("highest", "dtype"), [(1, "u1"), (256, "u2"), (70000, "u4")])
def test_nrrd_and_metaimage_hold_what_simpleitk_reads(tmp_path, oblique, suffix, highest, dtype):
    labels = np.zeros((2, 3, 4), np.int64)
    labels[0, 1, 2], labels[1, 1, 1] = highest, 1
    path = tmp_path / f"m{suffix}"
    write_mask(path, labels, oblique)
    image = sitk.ReadImage(str(path))
    theirs = sitk.GetArrayFromImage(image)
    assert theirs.dtype == dtype
    np.testing.assert_array_equal(theirs, labels)
    far = image.TransformIndexToPhysicalPoint([n - 1 for n in image.GetSize()])
    np.testing.assert_allclose(oblique.corners(labels.shape)[-1], far, atol=1e-6)
    np.testing.assert_array_equal(read_mask(path)[0], labels)
    assert only(tmp_path) == {path.name}


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".nrrd", ".mha"])
def test_every_order_and_sense_of_axes_survives_in_every_format(tmp_path, scan, labels, suffix):
    for order, signs in itertools.product(
        itertools.permutations(range(3)), itertools.product((1, -1), repeat=3)
    ):
        geometry = scan.geometry.transposed(order)
        shape = tuple(scan.shape[axis] for axis in order)
        for axis, sign in enumerate(signs):
            geometry = geometry.flipped(axis, shape) if sign < 0 else geometry
        turned = labels.transpose(order)[tuple(slice(None, None, sign) for sign in signs)]
        write_mask(tmp_path / f"m{suffix}", turned, geometry)
        back, grid = read_mask(tmp_path / f"m{suffix}")
        np.testing.assert_array_equal(back, turned)
        assert grid.coincides(geometry, shape)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_maps_and_masks_without_a_size_survive(tmp_path, rng, labels, suffix):
    values = rng.normal(size=(3, 6, 8)).astype(np.float32)
    write_map(tmp_path / f"v{suffix}", values, PIXELS)
    back = read_scan(tmp_path / f"v{suffix}")
    np.testing.assert_array_equal(back.array, values)
    assert back.geometry == PIXELS
    write_mask(tmp_path / f"m{suffix}", labels, PIXELS)
    np.testing.assert_array_equal(read_mask(tmp_path / f"m{suffix}")[0], labels)


@pytest.mark.parametrize("suffix", [".nii", ".nrrd", ".mha"])
def test_a_sheared_grid_survives(tmp_path, oblique, labels, suffix):
    matrix = oblique.affine
    matrix[:3, 0] += 0.5 * matrix[:3, 2]
    sheared = Geometry.from_affine(matrix)
    assert sheared.is_sheared
    write_mask(tmp_path / f"m{suffix}", labels, sheared)
    assert read_mask(tmp_path / f"m{suffix}")[1].coincides(sheared, labels.shape)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_a_file_that_another_library_puts_elsewhere_is_not_kept(
    tmp_path, oblique, labels, monkeypatch, suffix
):
    origin = sitk.ImageFileReader.GetOrigin
    monkeypatch.setattr(
        sitk.ImageFileReader, "GetOrigin", lambda self: tuple(o + 0.25 for o in origin(self))
    )
    with pytest.raises(WriteError, match=r"SimpleITK reads its grid 0\.433 mm away"):
        write_mask(tmp_path / f"m{suffix}", labels, oblique)
    assert only(tmp_path) == set()
