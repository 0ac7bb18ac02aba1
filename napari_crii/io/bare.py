"""What other libraries need to read a scan, and nothing around it: the yardstick of benchmarks.

No check, no geometry, no mending: never a way to open a user's scan.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

BareReader = Callable[[Path], NDArray[Any]]


def bare_reader(kind: str) -> BareReader:
    """Return the plain reader of a kind: nibabel, SimpleITK, pydicom, tifffile or Pillow.

    Parameters
    ----------
    kind
        ``nibabel``, ``SimpleITK``, ``pydicom`` (a folder of slices), ``tifffile``, ``Pillow``.
    """
    return _READERS[kind]


def _nibabel(path: Path) -> NDArray[Any]:
    import nibabel as nib

    # Without mmap=False a plain file would be mapped, and no voxel be read.
    image: Any = nib.load(path, mmap=False)
    return np.asarray(image.dataobj)


def _simpleitk(path: Path) -> NDArray[Any]:
    import SimpleITK as sitk

    # A view would not outlive its image.
    return np.asarray(sitk.GetArrayFromImage(sitk.ReadImage(str(path))))


def _pydicom(folder: Path) -> NDArray[Any]:
    import pydicom

    slices = [pydicom.dcmread(path) for path in folder.iterdir()]
    slices.sort(key=lambda data: float(data.ImagePositionPatient[2]))
    return np.stack([data.pixel_array for data in slices])


def _tifffile(path: Path) -> NDArray[Any]:
    import tifffile

    return np.asarray(tifffile.imread(path))


def _pillow(path: Path) -> NDArray[Any]:
    from PIL import Image

    with Image.open(path) as image:
        return np.asarray(image)


_READERS: dict[str, BareReader] = {
    "nibabel": _nibabel,
    "SimpleITK": _simpleitk,
    "pydicom": _pydicom,
    "tifffile": _tifffile,
    "Pillow": _pillow,
}
