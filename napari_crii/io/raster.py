"""Read one 2-D image (PNG, JPEG, TIFF) as a scan of a single slice without known size."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from napari_crii.errors import ScanError
from napari_crii.geometry import Geometry
from napari_crii.io._refusal import refusing
from napari_crii.io._values import Array, finite, native
from napari_crii.volume import Volume

_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF"}
_BAND = 256
_WITH_ALPHA = ("LA", "La", "RGBA", "RGBa", "PA")

Remarks = tuple[str, ...]


def read_raster(path: str | Path, labels: bool = False) -> Volume:
    """Read a single image.

    Parameters
    ----------
    path
        ``.png``, ``.jpg``, ``.jpeg``, ``.tif`` or ``.tiff``, whose content must match the name.
    labels
        Take a palette image by the index of its colours, as masks mean it, and leave NaN in
        place, for masks to be refused by it.

    Returns
    -------
    Volume
        (1, Y, X), or (1, Y, X, 3) for true colour; its geometry counts in pixels.

    Raises
    ------
    ScanError
        If the file is damaged, mislabelled, of unreasonable size, or holds several images.
    """
    kind = _FORMATS[Path(path).suffix.lower()]
    with refusing(path, f"{kind} image"), warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        # Without `formats` Pillow would open a renamed file by its content.
        with Image.open(os.fspath(path), formats=(kind,)) as image:
            if getattr(image, "n_frames", 1) != 1:
                raise ScanError(f"{path} holds several images, but a scan is one file per image")
            array, converted = _pixels(image, labels)
        grey, collapsed = _without_equal_channels(array)
        values = native(grey)
        values, mended = (values, ()) if labels else finite(values)
        name = Path(path).stem
        return Volume(values[np.newaxis], Geometry.pixels(), name, converted + collapsed + mended)


def _pixels(image: Image.Image, labels: bool) -> tuple[Array, Remarks]:
    """Return (Y, X) or (Y, X, 3) and what the conversion lost."""
    remarks = _depth_lost(image)
    if image.mode in _WITH_ALPHA or "transparency" in image.info:
        remarks += ("the transparency of the image was dropped",)
    if labels and image.mode == "P":
        return np.asarray(image), remarks
    if image.mode in ("LA", "La"):
        return _in_bands(image, "LA")[..., 0], remarks
    # Converting an image of mode RGBA keeps the colours under transparent pixels as stored.
    if image.mode not in ("1", "L", "F", "RGB") and not image.mode.startswith("I"):
        return _in_bands(image, "RGB"), remarks
    return _in_bands(image, "L" if image.mode == "1" else image.mode), remarks


def _in_bands(image: Image.Image, mode: str) -> Array:
    """Convert some rows at a time: Pillow at once would hold a large image three times."""
    width, height = image.size
    array: Array | None = None
    for top in range(0, height, _BAND):
        bottom = min(top + _BAND, height)
        band = np.asarray(image.crop((0, top, width, bottom)).convert(mode))
        if array is None:
            array = np.empty((height, *band.shape[1:]), dtype=band.dtype)
        array[top:bottom] = band
    if array is None:
        raise ValueError("it has a size of no pixels")
    return array


def _depth_lost(image: Image.Image) -> Remarks:
    """Tell when Pillow shortens 16-bit colours to 8 bits."""
    stored = " ".join(str(tile[3]) for tile in getattr(image, "tile", ()))
    if "16" in stored and np.asarray(image.crop((0, 0, 1, 1))).dtype.itemsize == 1:
        return ("16-bit colours were shortened to 8 bits",)
    return ()


def _without_equal_channels(array: Array) -> tuple[Array, Remarks]:
    if array.ndim == 2:
        return array, ()
    # Two comparisons of one channel each take a third of the memory of one of all.
    if all(np.array_equal(array[..., 0], array[..., c]) for c in (1, 2)):
        return array[..., 0], ("the three equal colour channels were taken as grey values",)
    return array, ()
