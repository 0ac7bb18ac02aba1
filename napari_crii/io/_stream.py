"""Voxels out of a file straight into their array: packed or not, checked to the last byte."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray
from zlib_ng import zlib_ng

Packing = Literal["raw", "gzip", "zlib"]

# The most that one byte of a stream can stand for: larger promises are refused unread.
HIGHEST_RATIO: dict[Packing, int] = {"raw": 1, "gzip": 1032, "zlib": 1032}
_PIECE = 1 << 18
# A byte may stand for a thousand: what is unpacked at once stays within the processor's cache.
_UNPACKED_PIECE = 1 << 20
# What may follow the voxels without a reason.
_SPARE = 256 << 20
_WINDOW_BITS = {"gzip": 31, "zlib": 15}
# Its stub takes the class for an instance.
_UnpackingError = cast(type[Exception], zlib_ng.error)


def read_voxels(
    path: str | Path,
    out: NDArray[Any],
    start: int = 0,
    skip: int = 0,
    packing: Packing = "raw",
    behind: int = 0,
) -> int:
    """Fill a contiguous array with the bytes of a file.

    A packed stream is read to its end, so that its checksum is verified.

    Parameters
    ----------
    path
        The file.
    out
        C- or F-contiguous; its bytes are filled in the order of memory.
    start
        Where the (packed) stream begins in the file.
    skip
        How many unpacked bytes to leave out before the first voxel.
    packing
        How the stream is packed; a gzip stream may have several members.
    behind
        How many unpacked bytes should follow, as those of later volumes do. A packed stream that
        has far more is not read to its end, which may never come.

    Returns
    -------
    int
        How many bytes follow the voxels in the unpacked stream.

    Raises
    ------
    ValueError
        If the stream ends early, is damaged, or goes on far too long.
    """
    flat: Any = out.reshape(-1, order="A").view(np.uint8)
    target = memoryview(flat)
    with open(path, "rb", buffering=0) as stream:
        if packing == "raw":
            return _read_raw(stream, target, start + skip)
        stream.seek(start)
        return _read_packed(stream, target, skip, packing, behind + _SPARE)


def _read_raw(stream: io.RawIOBase, target: memoryview, start: int) -> int:
    stream.seek(start)
    filled = 0
    while filled < len(target):
        count = stream.readinto(target[filled:]) or 0
        if count == 0:
            raise ValueError(_early(filled, len(target)))
        filled += count
    return max(0, os.fstat(stream.fileno()).st_size - start - filled)


def _read_packed(
    stream: io.RawIOBase, target: memoryview, skip: int, packing: Packing, most_behind: int
) -> int:
    position = -skip
    for piece in _unpacked(stream, packing):
        begin, end = max(position, 0), min(position + len(piece), len(target))
        if begin < end:
            target[begin:end] = memoryview(piece)[begin - position : end - position]
        position += len(piece)
        if position - len(target) > most_behind:
            raise ValueError(f"more than {most_behind} bytes follow the voxels it promises")
    if position < len(target):
        raise ValueError(_early(max(0, position), len(target)))
    return position - len(target)


def _unpacked(stream: io.RawIOBase, packing: Packing) -> Iterator[bytes]:
    """Yield the content of a stream in pieces, and raise unless its end was reached."""
    unpacker, begun = zlib_ng.decompressobj(_WINDOW_BITS[packing]), False
    while packed := stream.read(_PIECE):
        while packed:
            if unpacker.eof:
                # Zeros may pad the last member, as on a tape.
                if not packed.strip(b"\0"):
                    break
                unpacker = zlib_ng.decompressobj(_WINDOW_BITS[packing])
            begun = True
            try:
                yield unpacker.decompress(packed, _UNPACKED_PIECE)
            except _UnpackingError as error:
                raise ValueError(_damaged(error)) from error
            packed = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
    if begun and not unpacker.eof:
        raise ValueError("the packed voxels end before the end of their stream")


def _damaged(error: Exception) -> str:
    # zlib says "incorrect data check" where a checksum (CRC-32 or Adler-32) fails.
    checksum = "incorrect data check" in str(error)
    return "the checksum (CRC) of the packed voxels is wrong" if checksum else str(error)


def _early(found: int, promised: int) -> str:
    return f"it ends after {found} of the {promised} bytes of voxels that its header promises"
