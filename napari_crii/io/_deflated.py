"""Deflated DICOM files, which unpack to a thousand times their size before anything is read."""

from __future__ import annotations

import zlib
from pathlib import Path

from napari_crii.errors import ScanError

_UID = b"1.2.840.10008.1.2.1.99"
_PREAMBLE = 132
# The first element of the file meta information tells how long all of it is.
_GROUP_LENGTH = b"\x02\x00\x00\x00UL\x04\x00"
_BEHIND_LENGTH = _PREAMBLE + len(_GROUP_LENGTH) + 4
_LONGEST_META = 1 << 16
_LARGEST = 64 << 20
_CHUNK = 1 << 16


def refuse_bomb(path: Path) -> None:
    """Refuse a deflated file that unpacks to more than any slice needs, without holding it.

    Raises
    ------
    ScanError
        If it does, or if where the packed part begins cannot be told.
    """
    with path.open("rb") as stream:
        meta = stream.read(_LONGEST_META)
        if _UID not in meta:
            return
        if meta[_PREAMBLE : _BEHIND_LENGTH - 4] != _GROUP_LENGTH:
            raise ScanError(f"{path} is deflated, but does not tell the length of its file meta")
        length = int.from_bytes(meta[_BEHIND_LENGTH - 4 : _BEHIND_LENGTH], "little")
        stream.seek(_BEHIND_LENGTH + length)
        unpacker, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
        packed = stream.read(_CHUNK)
        while packed and not unpacker.eof:
            size += len(unpacker.decompress(packed, _LARGEST))
            if size > _LARGEST or unpacker.unconsumed_tail:
                raise ScanError(
                    f"{path} decompresses to more than {_LARGEST >> 20} MB, which no slice needs"
                )
            packed = stream.read(_CHUNK)
