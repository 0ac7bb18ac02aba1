"""Read a DICOM series as one volume, or say exactly why it is none.

The header pass comes first (:mod:`napari_crii.io.dicom_headers`), then the geometry
(:mod:`napari_crii.io.dicom_stack`), and pixels only for a stack that is even and complete.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID

from napari_crii.errors import ScanError
from napari_crii.io._refusal import refusing
from napari_crii.io._values import Array, finite, native
from napari_crii.io.dicom_headers import Header, quiet_about_uids, read_header, read_headers
from napari_crii.io.dicom_stack import (
    Stack,
    group,
    same_position,
    stack_geometry,
    without_repeats,
)
from napari_crii.volume import Volume

_GREY = ("MONOCHROME1", "MONOCHROME2")
_COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")

Remarks = tuple[str, ...]


def read_series(path: str | Path) -> Volume:
    """Read the one series of a folder, or the series and orientation of one file.

    Slices ascend along the normal, row direction x column direction, so the grid is
    right-handed in LPS whatever the files are called and however they are numbered.

    Parameters
    ----------
    path
        A folder with one series of images, or one file of the series wanted.

    Returns
    -------
    Volume
        (Z, Y, X), or (Z, Y, X, 3) for colour, with rescale slope and intercept applied:
        integers where all slices share whole numbers, float32 otherwise.

    Raises
    ------
    ScanError
        If there is no image or more than one series, or if slices are damaged, missing, at the
        same place, tilted against each other, of different sizes, or multi-frame.
    """
    given = Path(path)
    stack, ignored = _stack_of_folder(given) if given.is_dir() else _stack_of_file(given)
    with refusing(path, "DICOM series"):
        for header in stack.headers:
            _check_supported(header)
        headers = without_repeats(stack.headers)
        geometry, remarks = stack_geometry(headers)
        stored, dropped = _stored_values(stack.headers)
        values, changed = _values(headers, stored)
        array, mended = finite(values)
        name = given.name if given.is_dir() or len(headers) == 1 else given.resolve().parent.name
        notes = ignored + dropped + remarks + changed + mended
        return Volume(array, geometry, name or "scan", notes)


def _stack_of_folder(folder: Path) -> tuple[Stack, Remarks]:
    headers, remarks = read_headers(folder, str(folder))
    stacks = group([h for h in headers if h.has_pixels])
    if not stacks:
        raise ScanError(f"{folder} holds no DICOM images (subfolders are not searched)")
    if len(stacks) > 1:
        choices = "; ".join(str(stack) for stack in stacks[:5])
        raise ScanError(
            f"{folder} holds {len(stacks)} stacks of slices: open a file of one of them, {choices}"
        )
    return stacks[0], remarks


def _stack_of_file(path: Path) -> tuple[Stack, Remarks]:
    chosen = read_header(path)
    if 0 in chosen.shape:
        raise ScanError(f"{path} holds no image, but {chosen.modality or 'other data'}")
    _check_supported(chosen)
    headers, _ = read_headers(path.parent, str(path.parent))
    same = [h for h in headers if h.series == chosen.series and 0 not in h.shape]
    for stack in group(same):
        if any(h.path.name == path.name for h in stack.headers):
            return stack, ()
    return Stack((chosen,)), ()


def _check_supported(header: Header) -> None:
    if header.frames > 1:
        raise ScanError(f"{header.path} is a multi-frame object, which cannot be opened yet")
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


def _stored_values(headers: Sequence[Header]) -> tuple[list[Array], Remarks]:
    """Read the pixels of sorted slices; one that repeats its neighbour must be its copy."""
    stored: list[Array] = []
    for before, header in zip((None, *headers), headers, strict=False):
        pixels = _pixels(header)
        if before is None or not same_position(before, header):
            stored.append(pixels)
        elif not _same_values(before, stored[-1], header, pixels):
            raise ScanError(
                f"{header.path} and {before.path.name} lie at the same position but differ: "
                "separate time points or echoes into folders of their own"
            )
    dropped = len(headers) - len(stored)
    return stored, (f"{dropped} identical copies of slices were dropped",) if dropped else ()


def _same_values(one: Header, pixels: Array, other: Header, others: Array) -> bool:
    scale = (one.slope, one.intercept) == (other.slope, other.intercept)
    return scale and np.array_equal(pixels, others)


def _pixels(header: Header) -> Array:
    """Return stored values (Y, X) or (Y, X, 3), with MONOCHROME1 turned to bright-is-high."""
    syntax = UID(header.transfer_syntax).name
    with refusing(header.path, f"DICOM image ({syntax})"), quiet_about_uids():
        pixels = native(pixel_array(header.path))
    if header.photometric != "MONOCHROME1":
        return pixels
    top = -1 if header.signed else 2**header.bits_stored - 1
    lowest = -(2 ** (header.bits_stored - 1)) if header.signed else 0
    highest = top - lowest
    if pixels.min() < lowest or pixels.max() > highest:
        raise ScanError(f"{header.path} has values beyond its {header.bits_stored} stored bits")
    return np.asarray(np.subtract(top, pixels, dtype=pixels.dtype, casting="unsafe"))


def _values(headers: Sequence[Header], stored: list[Array]) -> tuple[Array, Remarks]:
    """Apply each slice's rescale: whole numbers where they stay whole, else float32."""
    remarks: Remarks = ()
    if headers[0].photometric == "MONOCHROME1":
        remarks = ("MONOCHROME1 was inverted, so that bright is high",)
    scales = {(h.slope, h.intercept) for h in headers}
    if scales == {(1.0, 0.0)} or stored[0].ndim == 3:
        return np.stack(stored), remarks
    dtype = _rescaled_type(scales, stored)
    array = np.empty((len(stored), *stored[0].shape), dtype=dtype)
    for target, header, pixels in zip(array, headers, stored, strict=True):
        target[...] = pixels.astype(np.float64) * header.slope + header.intercept
    if len({slope for slope, _ in scales}) > 1:
        remarks += ("the rescale slope differs between slices and was applied slice by slice",)
    return array, remarks


def _rescaled_type(scales: set[tuple[float, float]], stored: list[Array]) -> type[np.generic]:
    """Return the smallest of int16, int32 and float32 that loses nothing it could hold."""
    whole = all(number.is_integer() for scale in scales for number in scale)
    if not whole or len({slope for slope, _ in scales}) > 1 or stored[0].dtype.kind == "f":
        return np.float32
    extremes = [float(p.min()) for p in stored] + [float(p.max()) for p in stored]
    values = [e * slope + intercept for e in extremes for slope, intercept in scales]
    for candidate in (np.int16, np.int32):
        limits = np.iinfo(candidate)
        if limits.min <= min(values) and max(values) <= limits.max:
            return candidate
    return np.float32
