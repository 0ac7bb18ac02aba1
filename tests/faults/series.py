"""Generated DICOM series, drawn at random, each slice open to an edit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from tests.faults.grids import Affine, Array, is_right_handed, random_affine

Edit = Callable[[int, FileDataset], None]
_ROOT = "1.2.826.0.1.3680043.8.498."


def random_stack(rng: np.random.Generator, slices: int = 0) -> tuple[Array, Affine]:
    """Return voxels and a right-handed grid, as a DICOM series is read."""
    shape = (slices or int(rng.integers(3, 7)), int(rng.integers(4, 9)), int(rng.integers(9, 13)))
    affine = random_affine(rng, ("straight", "oblique")[rng.integers(2)])
    if not is_right_handed(affine):
        affine[:3, 0] *= -1
    return rng.integers(0, 2000, shape).astype(("u2", "i2")[rng.integers(2)]), affine


def write_series(
    folder: Path,
    array: Array,
    affine: Affine,
    seed: int,
    edit: Edit = lambda index, data: None,
    series: int = 1,
) -> list[Path]:
    """Write the slices of `array` (S, Y, X) in a shuffled order of names; return their paths.

    UIDs come from `seed` and `series`, so that a case is the same whenever it is repeated.
    """
    folder.mkdir(exist_ok=True)
    names = np.random.default_rng(seed + series).permutation(len(array))
    paths = []
    for index, pixels in enumerate(array):
        data = make_slice(pixels, index, affine, f"{_ROOT}{seed + 1}.{series}")
        edit(index, data)
        path = folder / f"s{series}_{names[index]:03d}.dcm"
        data.save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def make_slice(pixels: Array, index: int, affine: Affine, root: str) -> FileDataset:
    """Return slice `index` of a stack with this affine as an MR image."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.MediaStorageSOPInstanceUID = f"{root}.{index + 1}"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = MRImageStorage, meta.MediaStorageSOPInstanceUID
    data.PatientName, data.PatientID, data.Modality = "Canary^Patient", "CANARY-4711", "MR"
    data.StudyInstanceUID, data.SeriesInstanceUID = f"{root}.0.1", f"{root}.0.2"
    data.FrameOfReferenceUID, data.InstanceNumber = f"{root}.0.3", index + 1
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    unit = affine[:3, :3] / spacing
    data.ImagePositionPatient = [f"{v:.9g}" for v in (affine @ (index, 0, 0, 1))[:3]]
    data.ImageOrientationPatient = [f"{v:.10f}" for v in (*unit[:, 2], *unit[:, 1])]
    data.PixelSpacing = [f"{v:.9g}" for v in spacing[1:]]
    data.SliceThickness = f"{spacing[0]:.9g}"
    data.Rows, data.Columns = pixels.shape[:2]
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = pixels.dtype.itemsize * 8
    data.HighBit = data.BitsStored - 1
    data.PixelRepresentation = int(pixels.dtype.kind == "i")
    data.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
    return data


def setting(keyword: str, value: Any) -> Edit:
    """Return an edit that gives an element a value, or takes it away for a value of None."""

    def edit(index: int, data: FileDataset) -> None:
        if value is None:
            if keyword in data:
                delattr(data, keyword)
        else:
            setattr(data, keyword, value)

    return edit
