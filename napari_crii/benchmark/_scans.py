"""Scans of a given size in every format, for measuring how they open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_crii.geometry import Geometry
from napari_crii.io.write_raw import metaimage_bytes, nrrd_bytes

SIDE = 512
_IMAGE_SIDE = 4096
_GRID = Geometry((1.0, 0.7, 0.7))

Array = NDArray[Any]
Maker = Callable[[Path, Array], None]


@dataclass(frozen=True)
class Format:
    """A format, who reads it bare, and how a scan in it is made."""

    name: str
    file: str
    reader: str
    make: Maker


def voxels(slices: int, side: int = SIDE) -> NDArray[np.uint16]:
    """Return a scan (Z, Y, X) of 12 bits: smooth, with noise in its lowest bits as a scanner's."""
    rng = np.random.default_rng(0)
    rows, columns = np.indices((side, side)) / side
    smooth = 2000 + 1500 * np.sin(7 * rows) * np.cos(5 * columns)
    noise = rng.integers(0, 32, (side, side))
    still = (smooth + noise).astype(np.uint16)
    scan = np.empty((slices, side, side), dtype=np.uint16)
    for index, target in enumerate(scan):
        np.add(np.roll(still, 7 * index, axis=1), index % 64, out=target)
    return scan


def _nifti(path: Path, array: Array) -> None:
    import nibabel as nib

    from napari_crii.io.nifti import to_nifti_affine

    nib.save(nib.Nifti1Image(array.T, to_nifti_affine(_GRID)), path)


def _nrrd(path: Path, array: Array, packed: bool = False) -> None:
    path.write_bytes(nrrd_bytes(array, _GRID, packed))


def _metaimage(path: Path, array: Array, packed: bool = False) -> None:
    path.write_bytes(metaimage_bytes(array, _GRID, packed))


def _tiff(path: Path, array: Array) -> None:
    import tifffile

    tifffile.imwrite(path, array, photometric="minisblack", metadata=None)


def _png(path: Path, array: Array) -> None:
    from PIL import Image

    side = min(_IMAGE_SIDE, array.shape[1] * 8)
    repeats = side // array.shape[1]
    picture = np.tile((array[0] >> 4).astype(np.uint8), (repeats, repeats))
    Image.fromarray(picture).save(path)


def _dicom(folder: Path, array: Array) -> None:
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    folder.mkdir()
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.Modality = CTImageStorage, "CT"
    data.SeriesInstanceUID, data.FrameOfReferenceUID = generate_uid(), generate_uid()
    data.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    data.PixelSpacing, data.SliceThickness = list(_GRID.spacing[1:]), _GRID.spacing[0]
    data.Rows, data.Columns = array.shape[1:]
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 16, 15
    data.PixelRepresentation, data.RescaleSlope, data.RescaleIntercept = 0, 1, -1024
    for index, pixels in enumerate(array):
        data.InstanceNumber = index + 1
        data.SOPInstanceUID = meta.MediaStorageSOPInstanceUID = generate_uid()
        data.ImagePositionPatient = [0, 0, index * _GRID.spacing[0]]
        data.PixelData = pixels.tobytes()
        data.save_as(folder / f"{index:05d}.dcm", enforce_file_format=True)


FORMATS = (
    Format("NIfTI", "scan.nii", "nibabel", _nifti),
    Format("NIfTI, packed", "packed.nii.gz", "nibabel", _nifti),
    Format("NRRD", "scan.nrrd", "SimpleITK", _nrrd),
    Format("NRRD, packed", "packed.nrrd", "SimpleITK", lambda p, a: _nrrd(p, a, True)),
    Format("MetaImage", "scan.mha", "SimpleITK", _metaimage),
    Format("MetaImage, packed", "packed.mha", "SimpleITK", lambda p, a: _metaimage(p, a, True)),
    Format("DICOM", "series", "pydicom", _dicom),
    Format("TIFF", "scan.tif", "tifffile", _tiff),
    Format("PNG, one image", "scan.png", "Pillow", _png),
)
