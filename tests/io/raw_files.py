"""NRRD and MetaImage files made by hand, images of SimpleITK, and where it puts them."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from napari_crii.geometry import Geometry

DIRECTIONS = "space directions: (0,2,0) (-3,0,0) (0,0,4)"
ORIGIN = "space origin: (10,20,30)"


def itk_image(array: np.ndarray, geometry: Geometry, vector: bool = False) -> sitk.Image:
    image = sitk.GetImageFromArray(array, isVector=vector)
    if image.GetDimension() == 3:
        image.SetSpacing(geometry.spacing[::-1])
        image.SetOrigin(geometry.origin)
        image.SetDirection(np.array(geometry.direction)[::-1].T.ravel())
    return image


def itk_geometry(path: Path) -> Geometry:
    return place_of(sitk.ReadImage(str(path)))


def place_of(image: sitk.Image) -> Geometry:
    """Return where SimpleITK puts an image that it has read."""
    affine = np.eye(4)
    affine[:3, :3] = (np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing())[:, ::-1]
    affine[:3, 3] = image.GetOrigin()
    return Geometry.from_affine(affine)


def nrrd(path: Path, array: np.ndarray, *lines: str, encoding: str = "raw") -> Path:
    """Write a NRRD by hand; `array` has the slowest axis first."""
    kinds = {"u1": "uchar", "i2": "short", "u2": "ushort", "f4": "float"}
    head = [
        "NRRD0005",
        "# made by hand",
        f"type: {kinds[array.dtype.str[1:]]}",
        f"dimension: {array.ndim}",
        "sizes: " + " ".join(str(n) for n in array.shape[::-1]),
        f"encoding: {encoding}",
        *lines,
    ]
    if not any("endian" in line for line in lines):
        head.append("endian: little")
    content = array.tobytes() if encoding == "raw" else gzip.compress(array.tobytes())
    path.write_bytes("\n".join(head).encode() + b"\n\n" + content)
    return path


def mha(path: Path, array: np.ndarray, data: str = "LOCAL", **fields: object) -> Path:
    """Write a MetaImage header by hand, with its voxels if they are local."""
    told = {
        "NDims": array.ndim,
        "DimSize": " ".join(str(n) for n in array.shape[::-1]),
        "ElementType": "MET_SHORT",
        "ElementSpacing": " ".join(["1"] * array.ndim),
        **fields,
        "ElementDataFile": data,
    }
    head = "".join(f"{name} = {value}\n" for name, value in told.items())
    path.write_bytes(head.encode() + (array.tobytes() if data == "LOCAL" else b""))
    return path
