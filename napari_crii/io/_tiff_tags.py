"""Whether the first page of a TIFF describes its pixels in whole numbers, before libraries try."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from napari_crii.errors import ScanError

_SIZE = {256: "ImageWidth", 257: "ImageLength"}
_WHOLE = _SIZE | {
    258: "BitsPerSample",
    259: "Compression",
    262: "PhotometricInterpretation",
    273: "StripOffsets",
    277: "SamplesPerPixel",
    278: "RowsPerStrip",
    279: "StripByteCounts",
    322: "TileWidth",
    323: "TileLength",
    324: "TileOffsets",
    325: "TileByteCounts",
}
# SHORT, LONG, their signed forms, IFD, and the same with 8 bytes.
_WHOLE_TYPES = frozenset((3, 4, 8, 9, 13, 16, 17, 18))
_MOST_TAGS = 4096


def check_first_page(path: str | Path) -> None:
    """Refuse a TIFF whose first page gives its size, or the place of its pixels, in no number.

    What is damaged in another way is left to the libraries.

    Raises
    ------
    ScanError
        If the file does not begin as a TIFF, the size is missing, or a tag has a type that holds
        no whole numbers.
    """
    with open(path, "rb") as stream:
        types = dict(_tags(path, stream))
    if not types:
        return
    for tag, name in _WHOLE.items():
        if tag in types and types[tag] not in _WHOLE_TYPES:
            told = f"type {types[tag]}, which holds no whole numbers"
            raise ScanError(f"{path} is damaged: its tag {name} has {told}")
    for tag, name in _SIZE.items():
        if tag not in types:
            raise ScanError(f"{path} does not tell its size: it has no tag {name}")


def _tags(path: str | Path, stream: BinaryIO) -> Iterator[tuple[int, int]]:
    """Yield the number and the type of each tag of the first page, as far as the file has it."""
    start = stream.read(16)
    order = {b"II": "<", b"MM": ">"}.get(start[:2])
    if order is None or start[2:4] not in (struct.pack(order + "H", kind) for kind in (42, 43)):
        raise ScanError(f"{path} is not a readable TIFF image: it does not begin as one")
    big = struct.unpack(order + "H", start[2:4])[0] == 43
    at, count, entry = ("Q", "Q", 20) if big else ("I", "H", 12)
    offset = start[8:16] if big else start[4:8]
    if len(offset) < struct.calcsize(at):
        return
    stream.seek(struct.unpack(order + at, offset)[0])
    number = stream.read(struct.calcsize(count))
    if len(number) < struct.calcsize(count):
        return
    tags = min(struct.unpack(order + count, number)[0], _MOST_TAGS)
    page = stream.read(tags * entry)
    for place in range(0, len(page) - entry + 1, entry):
        yield struct.unpack_from(order + "HH", page, place)
