"""Real DICOM series: against SimpleITK, against their own conversions, and pydicom's test files."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from pydicom.data import get_testdata_file

from napari_crii.errors import ScanError
from napari_crii.io import read_mask, read_scan


def real_series(data_folder: Path) -> list[Path]:
    return sorted((data_folder / "sunnybrook_dicom").glob("*/*_dicom"))


def test_real_oblique_series_equal_simpleitks_series_reader(data_folder):
    for folder in real_series(data_folder):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            volume = read_scan(folder)
        reader = sitk.ImageSeriesReader()
        reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
        image = reader.Execute()
        np.testing.assert_array_equal(volume.array, sitk.GetArrayFromImage(image))
        far = [n - 1 for n in image.GetSize()]
        corner = image.TransformIndexToPhysicalPoint(far)
        np.testing.assert_allclose(volume.geometry.corners(volume.shape)[-1], corner, atol=1e-3)
        np.testing.assert_allclose(volume.geometry.origin, image.GetOrigin(), atol=1e-6)


def test_real_series_coincide_with_the_nifti_beside_them_and_with_its_masks(data_folder):
    for folder in real_series(data_folder):
        volume = read_scan(folder)
        phase = folder.name.removesuffix("_dicom")
        converted = read_scan(folder.parent / f"{phase}_image.nii.gz")
        np.testing.assert_array_equal(volume.array, converted.array)
        assert volume.geometry.is_oblique
        assert volume.geometry.coincides(converted.geometry, volume.shape)
        labels, _ = read_mask(folder.parent / f"{phase}_label.nii.gz", like=volume)
        assert labels.max() >= 1


def test_a_real_ct_gives_hounsfield_units(data_folder):
    volume = read_scan(data_folder / "dcmqi_ct3slice_liver" / "ct")
    assert (volume.array.dtype, volume.shape) == (np.int16, (3, 512, 512))
    assert volume.array.max() > 1000


def test_pydicoms_own_files_are_read_or_refused_but_never_crash(tmp_path):
    seen = {"read": 0, "refused": 0}
    source = Path(get_testdata_file("MR_small.dcm")).parent
    for number, file in enumerate(sorted(source.glob("*.dcm"))):
        folder = tmp_path / str(number)
        folder.mkdir()
        shutil.copy(file, folder / file.name)
        try:
            read_scan(folder / file.name)
            sentence = None
        except ScanError as error:
            sentence = str(error)
        seen["read" if sentence is None else "refused"] += 1
        assert sentence is None or (file.name in sentence and "\n" not in sentence)
    assert seen["read"] >= 30
    assert seen["refused"] >= 15
