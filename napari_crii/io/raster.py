"""Read a 2-D image (PNG, JPEG, TIFF) as a scan of a single slice."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from napari_crii.errors import ScanError
from napari_crii.geometry import Geometry
from napari_crii.io._choice import chosen_volume
from napari_crii.io._decoded import decoded
from napari_crii.io._refusal import refusing
from napari_crii.io._tiff_tags import check_first_page
from napari_crii.io._values import Array, finite, native
from napari_crii.io.sidecar import read_sidecar
from napari_crii.volume import Volume

_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF"}
_BAND = 256
_PHOTOMETRIC = 262
_BIG_TIFF_BIG_ENDIAN = b"MM\0+"
_DEEP = ("I", "F")
_WITH_ALPHA = ("LA", "La", "RGBA", "RGBa", "PA")

Remarks = tuple[str, ...]


def raster_volumes(path: str | Path) -> int:
    """Return how many volumes an image file holds: more than one only in a TIFF of stacks."""
    if _is_stack(path):
        from napari_crii.io.tiff import tiff_volumes

        return tiff_volumes(path)
    return 1


def read_raster(path: str | Path, labels: bool = False, volume_index: int | None = None) -> Volume:
    """Read an image, or a TIFF of several pages as slices.

    Parameters
    ----------
    path
        ``.png``, ``.jpg``, ``.jpeg``, ``.tif`` or ``.tiff``, whose content must match the name.
    labels
        Take a palette image by the index of its colours, as masks mean it, and leave NaN in
        place, for masks to be refused by it.
    volume_index
        Which time point of a TIFF of several stacks.

    Returns
    -------
    Volume
        (Z, Y, X), or (Z, Y, X, 3) for true colour; its geometry counts in pixels, unless a
        sidecar or the TIFF tells it.

    Raises
    ------
    ScanError
        If the file is damaged, mislabelled or of unreasonable size.
    """
    if _is_stack(path):
        from napari_crii.io.tiff import read_tiff_stack

        return read_tiff_stack(path, labels, volume_index)
    chosen_volume(path, 1, volume_index)
    kind = _FORMATS[Path(path).suffix.lower()]
    with refusing(path, f"{kind} image"), warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        # Without `formats` Pillow would open a renamed file by its content; a file that it opens
        # itself it may map into memory, beside the array.
        with open(path, "rb") as stream, Image.open(stream, formats=(kind,)) as image:
            if getattr(image, "n_frames", 1) != 1:
                raise ScanError(f"{path} holds several images: save them as pages of a TIFF")
            if kind == "TIFF" and _PHOTOMETRIC not in getattr(image, "tag_v2", ()):
                # Pillow would take white for 0 and turn the grey values over.
                raise ScanError(f"{path} does not tell its PhotometricInterpretation")
            array, converted = _pixels(image, labels)
        grey, collapsed = _without_equal_channels(array)
        values = native(grey)
        values, mended = (values, ()) if labels else finite(values)
        array = values[np.newaxis]
        geometry, told = read_sidecar(Path(path), array)
        remarks = converted + collapsed + told + mended
        return Volume(array, geometry or Geometry.pixels(), Path(path).stem, remarks)


def _is_stack(path: str | Path) -> bool:
    """Whether this is a TIFF of several pages, or one that Pillow cannot read."""
    if _FORMATS[Path(path).suffix.lower()] != "TIFF":
        return False
    with refusing(path, "TIFF image"):
        check_first_page(path)
        with open(path, "rb") as stream:
            if stream.read(4) == _BIG_TIFF_BIG_ENDIAN:
                return True
    from napari_crii.io.tiff import tiff_pages

    return tiff_pages(path) > 1


def _pixels(image: Image.Image, labels: bool) -> tuple[Array, Remarks]:
    """Return (Y, X) or (Y, X, 3) and what the conversion lost."""
    remarks = _depth_lost(image)
    if image.mode in _WITH_ALPHA or "transparency" in image.info:
        remarks += ("the transparency of the image was dropped",)
    return decoded(image, palette=labels), remarks


def _depth_lost(image: Image.Image) -> Remarks:
    """Tell when Pillow shortens 16-bit colours to 8 bits."""
    stored = " ".join(str(tile[3]) for tile in getattr(image, "tile", ()))
    if "16" in stored and image.mode not in _DEEP and not image.mode.startswith("I;"):
        return ("16-bit colours were shortened to 8 bits",)
    return ()


def _without_equal_channels(array: Array) -> tuple[Array, Remarks]:
    if array.ndim == 2:
        return array, ()
    # Some rows at a time: a comparison of all would take a third of the image's memory again.
    bands = (array[top : top + _BAND] for top in range(0, len(array), _BAND))
    if all(np.array_equal(b[..., 0], b[..., c]) for b in bands for c in (1, 2)):
        return array[..., 0], ("the three equal colour channels were taken as grey values",)
    return array, ()
