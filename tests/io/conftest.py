"""Files on disk for the tests of `napari_crii.io`: DICOM series, and a disk that fills up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from napari_crii.geometry import Geometry
from tests.disks import small_disk

SliceEdit = Callable[[int, FileDataset], None]


@pytest.fixture
def stored(rng: np.random.Generator) -> np.ndarray:
    """Return voxels as a NIfTI file numbers them: columns, rows, slices."""
    return rng.integers(-500, 500, (9, 7, 5)).astype(np.int16)


@pytest.fixture
def pixels(rng: np.random.Generator) -> np.ndarray:
    """Return voxels for a series: slices, rows, columns, all of different number."""
    return rng.integers(-900, 900, (5, 7, 9)).astype(np.int16)


@pytest.fixture
def phases(rng: np.random.Generator) -> np.ndarray:
    """Return three time points of a stack: time, slices, rows, columns."""
    return rng.integers(-900, 900, (3, 5, 7, 9)).astype(np.int16)


@pytest.fixture
def write_series(tmp_path: Path, oblique: Geometry) -> Callable[..., Path]:
    """Return a function that writes a series of MR slices, each open to an edit.

    Its files are named against the order of positions, so that names cannot help.
    """

    def write(
        array: np.ndarray,
        edit: SliceEdit = lambda index, data: None,
        geometry: Geometry = oblique,
        folder: str = "series",
    ) -> Path:
        target = tmp_path / folder
        target.mkdir(exist_ok=True)
        series, frame = generate_uid(), generate_uid()
        for index, pixels in enumerate(array):
            data = mr_slice(pixels, index, geometry, series, frame)
            edit(index, data)
            count = len(list(target.iterdir()))
            data.save_as(target / f"{900 - count:04d}.dcm", enforce_file_format=True)
        return target

    return write


def mr_slice(
    pixels: np.ndarray, index: int, geometry: Geometry, series: str, frame: str
) -> FileDataset:
    """Return one slice of a stack as an MR image."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = MRImageStorage, meta.MediaStorageSOPInstanceUID
    data.PatientName, data.PatientID, data.Modality = "Canary^Patient", "CANARY-4711", "MR"
    data.SeriesInstanceUID, data.FrameOfReferenceUID = series, frame
    position = geometry.affine @ (index, 0, 0, 1)
    data.ImagePositionPatient = [f"{v:.8g}" for v in position[:3]]
    cosines = (*geometry.direction[2], *geometry.direction[1])
    data.ImageOrientationPatient = [f"{v:.8f}" for v in cosines]
    data.PixelSpacing = [f"{v:.8g}" for v in geometry.spacing[1:]]
    data.SliceThickness = f"{geometry.spacing[0]:.8g}"
    data.Rows, data.Columns = pixels.shape[:2]
    data.SamplesPerPixel = 1
    data.PhotometricInterpretation = "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = pixels.dtype.itemsize * 8
    data.HighBit = data.BitsStored - 1
    data.PixelRepresentation = int(pixels.dtype.kind == "i")
    data.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
    return data


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of 64 KB."""
    with small_disk(tmp_path / "disk", "size=64k") as folder:
        yield folder
