"""Pixels of an image, decoded by Pillow straight into the array that keeps them.

Pillow decodes into memory of its own, 4 bytes for each pixel in colour, and copies that twice on
the way to numpy. It writes into memory of ours instead if it is given an image that lies there.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, _imaging

from napari_crii.io._values import Array

_BAND = 256
_PIECE = 1 << 18
_ORIENTATION = 274
# How Pillow keeps the pixels of a mode: whole pixels, or four bytes of which some are colours.
_WHOLE = {
    "L": "u1",
    "P": "u1",
    "I": "=i4",
    "F": "=f4",
    "I;16": "<u2",
    "I;16L": "<u2",
    "I;16B": ">u2",
}
_FOUR = {"RGB": 3, "RGBA": 3, "LA": 1}


def decoded(image: Image.Image, palette: bool = False) -> Array:
    """Return the pixels of an image that was opened and not loaded yet.

    Parameters
    ----------
    image
        Of any mode; palettes, CMYK and the like become RGB.
    palette
        Take a palette image by the index of its colours.

    Returns
    -------
    Array
        (Y, X), or (Y, X, 3) in colour, in the machine's byte order, without transparency.

    Raises
    ------
    OSError, ValueError, SyntaxError
        Whatever Pillow says of a damaged image.
    """
    if 0 in image.size:
        raise ValueError("it has a size of no pixels")
    mode = image.mode
    if mode in _FOUR and (pixels := _loaded(image, "u1", 4)) is not None:
        return _without_padding(pixels, _FOUR[mode])
    whole = mode in _WHOLE and (palette or mode != "P")
    if whole and (pixels := _loaded(image, _WHOLE[mode], 1)) is not None:
        return _native_in_place(pixels[..., 0])
    return _in_bands(image, palette)


def _loaded(image: Image.Image, kind: str, units: int) -> Array | None:
    """Load an image into an array (Y, X, units) of ours; None: Pillow has to use its own memory."""
    # Pillow turns a TIFF upright once it is decoded. Without tiles it would decode nothing.
    upright = getattr(image, "tag_v2", {}).get(_ORIENTATION, 1) == 1
    if not upright or not getattr(image, "tile", ()):
        return None
    width, height = image.size
    # Zeros, as Pillow has them where a damaged TIFF leaves tiles out.
    array = np.zeros((height, width, units), dtype=kind)
    pitch = array.strides[0]
    ours = _imaging.map_buffer(array, image.size, "raw", 0, (image.mode, pitch, 1))
    image.im = ours
    image.load()
    return array if image.im is ours else None


def _without_padding(array: Array, kept: int) -> Array:
    """Move the first `kept` of four bytes together, in place; return (Y, X) or (Y, X, kept)."""
    height, width, units = array.shape
    flat = array.reshape(-1)
    rows = max(1, _PIECE // (width * units))
    for top in range(0, height, rows):
        band = array[top : top + rows, :, :kept].reshape(-1)
        # What has not been moved yet begins behind.
        flat[top * width * kept :][: band.size] = band
    together = flat[: height * width * kept].reshape(height, width, kept)
    return together[..., 0] if kept == 1 else together


def _native_in_place(array: Array) -> Array:
    if array.dtype.isnative:
        return array
    return array.byteswap(inplace=True).view(array.dtype.newbyteorder("="))


def _in_bands(image: Image.Image, palette: bool) -> Array:
    """Convert some rows at a time: Pillow at once would hold a large image three times."""
    # A TIFF that lies on its side has its true size only after that.
    image.load()
    width, height = image.size
    mode = _converted_mode(image.mode, palette)
    array: Array | None = None
    for top in range(0, height, _BAND):
        bottom = min(top + _BAND, height)
        band = np.asarray(image.crop((0, top, width, bottom)).convert(mode))
        band = band[..., 0] if mode == "LA" else band
        if array is None:
            array = np.empty((height, *band.shape[1:]), dtype=band.dtype.newbyteorder("="))
        array[top:bottom] = band
    assert array is not None
    return array


def _converted_mode(mode: str, palette: bool) -> str:
    if mode in ("L", "1"):
        return "L"
    if mode in ("LA", "La"):
        return "LA"
    if mode == "F" or mode.startswith("I") or (mode == "P" and palette):
        return mode
    # Converting an image of mode RGBA keeps the colours under transparent pixels as stored.
    return "RGB"
