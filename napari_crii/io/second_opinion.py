"""Where another library puts a file that we wrote: SimpleITK, from the header alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_crii.errors import WriteError
from napari_crii.geometry import CORNER_TOLERANCE_MM, Geometry


def require_agreement(path: Path, geometry: Geometry, shape: tuple[int, ...]) -> None:
    """Refuse a file whose eight corners SimpleITK puts elsewhere.

    Sheared grids, and names and sizes that it does not read, are passed over: there it has no
    opinion.

    Raises
    ------
    WriteError
        If it disagrees by more than 1e-3 mm.
    """
    import SimpleITK as sitk

    if geometry.is_sheared or geometry.unit != "mm" or not _has_name_for_it(path):
        return
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        return
    direction = np.array(reader.GetDirection()).reshape(3, 3)
    matrix = np.eye(4)
    matrix[:3, :3] = (direction * reader.GetSpacing())[:, ::-1]
    matrix[:3, 3] = reader.GetOrigin()
    theirs = Geometry.from_affine(matrix)
    distance = theirs.corner_distance(geometry, shape)
    if reader.GetSize()[::-1] != tuple(shape) or distance > CORNER_TOLERANCE_MM:
        raise WriteError(f"SimpleITK reads its grid {distance:.3g} mm away")


def _has_name_for_it(path: Path) -> bool:
    """Whether SimpleITK can be asked: a name that is no UTF-8 ends the whole process there."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
