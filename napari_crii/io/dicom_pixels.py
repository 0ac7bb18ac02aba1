"""Stored values of DICOM images, and the rescale that makes numbers of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import iter_pixels, pixel_array
from pydicom.uid import UID

from napari_crii.errors import ScanError
from napari_crii.io._refusal import refusing
from napari_crii.io._stream import read_voxels
from napari_crii.io._values import Array, native
from napari_crii.io.dicom_headers import Header, quiet_about_uids
from napari_crii.io.dicom_stack import same_position

_GREY = ("MONOCHROME1", "MONOCHROME2")
_COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")

Remarks = tuple[str, ...]


def check_supported(header: Header) -> None:
    """Refuse what cannot be decoded into grey values or colours, before any pixel is read.

    Raises
    ------
    ScanError
        If the colour space, the scale or the compression is not supported.
    """
    if header.photometric not in _GREY + _COLOURS:
        raise ScanError(f"{header.path} has photometric interpretation '{header.photometric}'")
    if header.slope == 0 or not np.isfinite([header.slope, header.intercept]).all():
        raise ScanError(f"{header.path} has a rescale slope of {header.slope}")
    syntax = UID(header.transfer_syntax)
    if not header.transfer_syntax or not syntax.is_transfer_syntax:
        raise ScanError(f"{header.path} does not tell its transfer syntax")
    if syntax.is_compressed and not _can_decode(syntax):
        raise ScanError(
            f"{header.path} is compressed as {syntax.name}, for which no codec is installed: "
            "install python-gdcm or pylibjpeg"
        )


def _can_decode(syntax: UID) -> bool:
    try:
        return bool(get_decoder(syntax).is_available)
    except NotImplementedError:
        return False


def stored_stack(headers: Sequence[Header], slices: int) -> tuple[Array, Remarks]:
    """Read sorted images into one array; one that repeats its neighbour must be its copy.

    Parameters
    ----------
    headers
        In order of positions, copies included.
    slices
        How many there are without the copies.

    Returns
    -------
    stored
        (Z, Y, X) or (Z, Y, X, 3), not rescaled.
    remarks
        Tells of copies that were dropped.
    """
    if len(headers) == slices and all(_is_plain(header) for header in headers):
        return _plain_stack(headers), ()
    array: Array | None = None
    count, before = 0, None
    for header, pixels in zip(headers, _all_pixels(headers), strict=True):
        if array is None:
            array = np.empty((slices, *pixels.shape), dtype=pixels.dtype)
        _check_alike(header, array, pixels)
        if before is None or not same_position(before, header):
            array[count] = pixels
            count += 1
        elif not _same_values(before, array[count - 1], header, pixels):
            raise ScanError(
                f"{header.path} and {before.path.name} lie at the same position but differ: "
                "separate time points or echoes into folders of their own"
            )
        before = header
    assert array is not None
    dropped = len(headers) - slices
    return array, (f"{dropped} identical copies of slices were dropped",) if dropped else ()


def _plain_stack(headers: Sequence[Header]) -> Array:
    """Read straight into the volume, without a copy of each slice on the way."""
    dtypes = {_plain_type(header) for header in headers}
    if len(dtypes) > 1:
        raise ScanError(f"{headers[0].path.parent} holds slices with different types of number")
    array = np.empty((len(headers), *headers[0].shape), dtype=dtypes.pop())
    for header, pixels in zip(headers, array, strict=True):
        with refusing(header.path, "DICOM image"):
            _read_plain(header, pixels)
    return native(array)


def _check_alike(header: Header, array: Array, pixels: Array) -> None:
    if (pixels.shape, pixels.dtype) != (array.shape[1:], array.dtype):
        found, usual = (f"{a.dtype} {a.shape}" for a in (pixels, array[0]))
        raise ScanError(f"{header.path} decodes to {found}, but the slices before it to {usual}")


def _same_values(one: Header, pixels: Array, other: Header, others: Array) -> bool:
    scale = (one.slope, one.intercept) == (other.slope, other.intercept)
    return scale and np.array_equal(pixels, others)


def _all_pixels(headers: Sequence[Header]) -> Iterator[Array]:
    """Yield the stored values of each header, decoding a multi-frame file in one go."""
    for path, group in groupby(headers, key=lambda header: header.path):
        members = list(group)
        if len(members) == 1 or _is_plain(members[0]):
            yield from map(stored_pixels, members)
            continue
        wanted = [header.frame for header in members]
        with refusing(path, "multi-frame DICOM image"), quiet_about_uids():
            frames = iter_pixels(path, indices=wanted)
            for header, pixels in zip(members, frames, strict=True):
                yield _upright(header, native(pixels))


def stored_pixels(header: Header) -> Array:
    """Return stored values (Y, X) or (Y, X, 3), with MONOCHROME1 turned to bright-is-high."""
    syntax = UID(header.transfer_syntax).name
    with refusing(header.path, f"DICOM image ({syntax})"), quiet_about_uids():
        if _is_plain(header):
            pixels = np.empty(header.shape, dtype=_plain_type(header))
            _read_plain(header, pixels)
            return native(pixels)
        index = header.frame if header.frames > 1 else None
        return _upright(header, native(pixel_array(header.path, index=index)))


def _is_plain(header: Header) -> bool:
    """Whether the pixels are numbers as the machine has them, which need no decoder."""
    whole_bytes = header.bits_allocated in (8, 16) and header.high_bit == header.bits_stored - 1
    grey = header.samples == 1 and header.photometric in _GREY
    return header.pixels_at is not None and whole_bytes and grey


def _plain_type(header: Header) -> np.dtype[Any]:
    return np.dtype(f"<{'i' if header.signed else 'u'}{header.bits_allocated // 8}")


def _read_plain(header: Header, out: Array) -> None:
    read_voxels(header.path, out, header.pixels_at or 0, header.frame * out.nbytes)
    unused = header.bits_allocated - header.bits_stored
    if unused > 0:
        # Overlays may lie in the bits above; shifting there and back also extends the sign.
        np.left_shift(out, unused, out=out)
        np.right_shift(out, unused, out=out)
    if header.photometric == "MONOCHROME1":
        out[...] = _upright(header, out)


def _upright(header: Header, pixels: Array) -> Array:
    if header.photometric != "MONOCHROME1":
        return pixels
    top = -1 if header.signed else 2**header.bits_stored - 1
    lowest = -(2 ** (header.bits_stored - 1)) if header.signed else 0
    highest = top - lowest
    if pixels.min() < lowest or pixels.max() > highest:
        raise ScanError(f"{header.path} has values beyond its {header.bits_stored} stored bits")
    return np.asarray(np.subtract(top, pixels, dtype=pixels.dtype, casting="unsafe"))


def rescaled(headers: Sequence[Header], stored: Array) -> tuple[Array, Remarks]:
    """Apply each slice's rescale: whole numbers where they stay whole, else float32.

    Parameters
    ----------
    headers
        One for each slice.
    stored
        (Z, Y, X) or (Z, Y, X, 3); its memory may be used for the result.
    """
    remarks: Remarks = ()
    if headers[0].photometric == "MONOCHROME1":
        remarks = ("MONOCHROME1 was inverted, so that bright is high",)
    scales = {(h.slope, h.intercept) for h in headers}
    if scales == {(1.0, 0.0)} or stored.ndim == 4:
        return stored, remarks
    dtype = _rescaled_type(scales, stored)
    if {slope for slope, _ in scales} == {1.0} and dtype.itemsize == stored.dtype.itemsize:
        return _shifted(headers, stored, dtype), remarks
    array = np.empty(stored.shape, dtype=dtype)
    for target, header, pixels in zip(array, headers, stored, strict=True):
        target[...] = pixels.astype(np.float64) * header.slope + header.intercept
    if len({slope for slope, _ in scales}) > 1:
        remarks += ("the rescale slope differs between slices and was applied slice by slice",)
    return array, remarks


def _shifted(headers: Sequence[Header], stored: Array, dtype: np.dtype[np.generic]) -> Array:
    """Add whole intercepts in place: sums that fit come out right, whatever wraps on the way."""
    array = stored.view(dtype)
    bits = 8 * dtype.itemsize
    for pixels, header in zip(array, headers, strict=True):
        wrapped = (int(header.intercept) + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)
        np.add(pixels, dtype.type(wrapped), out=pixels)
    return array


def _rescaled_type(scales: set[tuple[float, float]], stored: Array) -> np.dtype[np.generic]:
    """Return the smallest of int16, int32 and float32 that loses nothing it could hold."""
    whole = all(number.is_integer() for scale in scales for number in scale)
    if not whole or len({slope for slope, _ in scales}) > 1 or stored.dtype.kind == "f":
        return np.dtype(np.float32)
    extremes = float(stored.min()), float(stored.max())
    values = [e * slope + intercept for e in extremes for slope, intercept in scales]
    for candidate in (np.int16, np.int32):
        limits = np.iinfo(candidate)
        if limits.min <= min(values) and max(values) <= limits.max:
            return np.dtype(candidate)
    return np.dtype(np.float32)
