"""Second opinions: other libraries' reading and writing of one volume, in one convention.

All return an array (z, y, x) and an affine from its indices to LPS mm.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import nrrd
import numpy as np
import pydicom
import SimpleITK as sitk

from tests.faults.grids import RAS_LPS, Affine, Array

Reading = tuple[Array, Affine]
_PLACE = ("ImagePositionPatient", "ImageOrientationPatient")


def by_nibabel(path: Path) -> Reading:
    image = nib.load(path)
    assert isinstance(image, nib.Nifti1Image)
    affine = np.asarray(RAS_LPS @ image.affine)[:, [2, 1, 0, 3]]
    # `get_fdata` would make float64 of everything.
    return np.asarray(image.dataobj).T, affine


def by_pynrrd(path: Path) -> Reading:
    array, header = nrrd.read(str(path))
    assert header["space"] == "left-posterior-superior"
    affine = np.eye(4)
    # One row for each axis, the fastest first.
    affine[:3, :3] = np.array(header["space directions"])[::-1].T
    affine[:3, 3] = header["space origin"]
    return array.T, affine


def by_simpleitk(path: Path) -> Reading:
    return _of_image(sitk.ReadImage(str(path)))


def series_by_simpleitk(folder: Path) -> Reading:
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
    return _of_image(sitk.ReadImage(names))


def series_by_pydicom(
    folder: Path, values: Callable[[pydicom.Dataset], Array] = lambda data: data.pixel_array
) -> tuple[Array, Affine | None]:
    """Stack the slices of a folder that holds one even series.

    The affine is None for a lone slice that does not tell where it lies.
    """
    return stacked([pydicom.dcmread(path) for path in folder.iterdir()], values)


def meaning(data: pydicom.Dataset) -> Array:
    """Return the values of one slice: inverted where white is low, rescaled."""
    if data.get("NumberOfFrames") in ("", None) and "NumberOfFrames" in data:
        # Empty is as good as absent.
        del data.NumberOfFrames
    values = data.pixel_array.astype(np.float64)
    if data.PhotometricInterpretation == "MONOCHROME1":
        values = (-1 if data.PixelRepresentation else 2**data.BitsStored - 1) - values
    if data.SamplesPerPixel == 1:
        slope, intercept = data.get("RescaleSlope"), data.get("RescaleIntercept")
        values = values * (1 if slope is None else float(slope)) + float(intercept or 0)
    return np.asarray(values)


def stacked(
    slices: list[pydicom.Dataset], values: Callable[[pydicom.Dataset], Array]
) -> tuple[Array, Affine | None]:
    """Stack slices along their normal, in space where they tell where they lie."""
    # Segmentations and doses beside a series are no slices of it.
    slices = [data for data in slices if data.get("Modality") not in ("SEG", "RTDOSE")]
    if len(slices) == 1 and not (_has(slices[0], _PLACE[0]) and _has(slices[0], _PLACE[1])):
        return values(slices[0])[np.newaxis], None
    cosines = np.array(slices[0].ImageOrientationPatient, float)
    # Both are unit vectors, rounded to a few decimals.
    cosines /= np.repeat(np.linalg.norm(cosines.reshape(2, 3), axis=1), 3)
    normal = np.cross(cosines[:3], cosines[3:])
    slices.sort(key=lambda data: float(normal @ np.array(data.ImagePositionPatient, float)))
    first, last = (np.array(slices[i].ImagePositionPatient, float) for i in (0, -1))
    affine = np.eye(4)
    rows, columns = (float(v) for v in slices[0].PixelSpacing)
    between = normal * _thickness(slices[0])
    if len(slices) > 1:
        between = (last - first) / (len(slices) - 1)
    affine[:3, :3] = np.array([between, cosines[3:] * rows, cosines[:3] * columns]).T
    affine[:3, 3] = first
    return np.stack([values(data) for data in slices]), affine


def _has(data: pydicom.Dataset, keyword: str) -> bool:
    return data.get(keyword) not in (None, "")


def _thickness(data: pydicom.Dataset) -> float:
    """Return how thick a lone slice is; 1 mm where it does not say."""
    for keyword in ("SpacingBetweenSlices", "SliceThickness"):
        if _has(data, keyword) and abs(float(data.get(keyword))) > 0:
            return abs(float(data.get(keyword)))
    return 1.0


def write_by_nibabel(path: Path, array: Array, affine: Affine, forms: str) -> None:
    """Write a NIfTI file whose place stands in the sform, the qform, or both."""
    ras = RAS_LPS @ affine[:, [2, 1, 0, 3]]
    image = nib.Nifti1Image(array.T, ras, dtype=array.dtype)
    image.header.set_xyzt_units("mm")
    image.set_sform(ras, code=0 if forms == "qform" else 2)
    image.set_qform(None if forms == "sform" else ras, code=0 if forms == "sform" else 1)
    nib.save(image, path)


def write_by_simpleitk(path: Path, array: Array, affine: Affine) -> None:
    image = sitk.GetImageFromArray(array)
    steps = affine[:3, [2, 1, 0]]
    spacing = np.linalg.norm(steps, axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((steps / spacing).reshape(-1).tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    sitk.WriteImage(image, str(path))


def _of_image(image: sitk.Image) -> Reading:
    affine = np.eye(4)
    steps = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    affine[:3, :3] = steps[:, ::-1]
    affine[:3, 3] = image.GetOrigin()
    return sitk.GetArrayFromImage(image), affine
