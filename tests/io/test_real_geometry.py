"""Every real scan opens where nibabel and SimpleITK put it, with the voxels that they read."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK as sitk

from napari_crii.geometry import Geometry
from napari_crii.io import is_scan, read_mask, read_scan, volume_count
from napari_crii.volume import Volume
from tests.io.raw_files import place_of


def itk_image(path: Path) -> sitk.Image:
    if path.is_file():
        return sitk.ReadImage(str(path))
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(path)))
    return reader.Execute()


def nibabel_geometry(path: Path) -> Geometry:
    affine = np.diag([-1, -1, 1, 1]) @ nib.load(path).affine
    return Geometry.from_affine(affine[:, [2, 1, 0, 3]])


def lies_where_others_put_it(path: Path) -> Volume:
    assert is_scan(path)
    assert volume_count(path) == 1
    volume, image = read_scan(path), itk_image(path)
    assert volume.geometry.coincides(place_of(image), volume.shape), path
    np.testing.assert_array_equal(volume.array, sitk.GetArrayFromImage(image), err_msg=path.name)
    if path.name.endswith(".nii.gz"):
        assert volume.geometry.coincides(nibabel_geometry(path), volume.shape), path
    return volume


def test_every_volume_of_every_set(data_folder):
    series = sorted((data_folder / "sunnybrook_dicom").glob("*/*_dicom"))
    nifti = sorted(data_folder.glob("**/*.nii.gz"))
    others = sorted(data_folder.glob("**/*.nrrd"))
    ct = data_folder / "dcmqi_ct3slice_liver" / "ct"
    for path in (*series, *nifti, *others, ct):
        lies_where_others_put_it(path)
    assert (len(series), len(nifti) >= 320, len(others)) == (4, True, 2)


def test_every_image_with_its_mask(data_folder):
    sets = [data_folder / name for name in ("sunnybrook_lv", "dsb2018")]
    pairs = [
        (path, folder / "labels" / path.name)
        for folder in sets
        for path in sorted((folder / "images").glob("*.png"))[::3]
    ]
    assert len(pairs) > 200
    for image, mask in pairs:
        volume = read_scan(image)
        assert volume.is_image
        assert read_mask(mask, like=volume)[0].any(), mask.name
