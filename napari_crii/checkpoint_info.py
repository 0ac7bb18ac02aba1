"""A checkpoint's card, read and verified without loading a network (and without torch).

A checkpoint is one safetensors file: little-endian length, JSON header, tensor bytes. The card
is a JSON text in the header's metadata; its digest covers the card and every tensor.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from mmap import mmap
from pathlib import Path
from typing import Any, TypeVar

from napari_crii.classes import LabelClass
from napari_crii.errors import CheckpointError

FORMAT = 1
CARD_KEY = "napari_crii"
_HEADER_LIMIT = 10_000_000
_FILE_LIMIT = 1 << 30

_Contents = TypeVar("_Contents", bytes, mmap)


@dataclass(frozen=True)
class CheckpointInfo:
    """What a checkpoint says about itself.

    Attributes
    ----------
    classes
        Foreground classes, ids 1 to K-1.
    network, preprocessing
        Fields of `NetworkConfig` and `Preprocessing`.
    low_contrast
        Edge contrast-to-noise ratio below which a place counts as low in contrast.
    provenance
        Free facts: data, command, date, parent digest.
    digest
        SHA-256 of everything above and of the weights, in hexadecimal.
    """

    classes: tuple[LabelClass, ...]
    network: Mapping[str, Any]
    preprocessing: Mapping[str, Any]
    low_contrast: float = 1.0
    provenance: Mapping[str, Any] = field(default_factory=dict)
    digest: str = ""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the foreground classes, in the order of their ids."""
        return tuple(c.name for c in self.classes)

    def to_json(self) -> str:
        """Return the card as canonical JSON."""
        return json.dumps({"format": FORMAT, **asdict(self)}, sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> CheckpointInfo:
        """Read a card.

        Raises
        ------
        ValueError, KeyError, TypeError
            If the text is not a card of a known format.
        """
        card = _object(json.loads(text))
        if card.pop("format") != FORMAT:
            raise ValueError("unknown format")
        card["classes"] = tuple(LabelClass(**c) for c in card["classes"])
        for part in ("network", "preprocessing", "provenance"):
            _object(card[part])
        card["low_contrast"] = float(card["low_contrast"])
        info = cls(**card)
        if info.to_json() != text:
            raise ValueError("not written as cards are")
        return info


def read_checkpoint_info(path: Path | str) -> CheckpointInfo:
    """Read and verify a checkpoint's card.

    Raises
    ------
    CheckpointError
        If the file is missing, not a checkpoint of napari-crii, or its digest does not agree.
    """
    try:
        state = os.stat(path)
    except (OSError, ValueError):
        return verified_info(_read(Path(path), _pages), Path(path).name)
    return _info_of(Path(path), state.st_mtime_ns, state.st_size, state.st_ino)


@lru_cache(maxsize=8)
def _info_of(path: Path, _changed: int, _size: int, _inode: int) -> CheckpointInfo:
    """Read a card once for every state of its file: a window asks often, and hashing takes time."""
    return verified_info(_read(path, _pages), path.name)


def read_checkpoint_bytes(path: Path) -> bytes:
    """Return a checkpoint's bytes.

    Raises
    ------
    CheckpointError
        If the file cannot be read.
    """
    return _read(path, Path.read_bytes)


def _read(path: Path, read: Callable[[Path], _Contents]) -> _Contents:
    try:
        if path.stat().st_size > _FILE_LIMIT:
            raise CheckpointError(f"{path} is too large to be a checkpoint of napari-crii")
        return read(path)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise CheckpointError(f"{path}: the checkpoint cannot be read ({why})") from error


def _pages(path: Path) -> mmap:
    """Return a file's bytes in pages of their own, which the system has back after use.

    The heap of each thread that ever read one would keep its room. The file itself is not mapped:
    a process ends if such a file becomes shorter.
    """
    with path.open("rb") as stream:
        pages = mmap(-1, max(1, os.fstat(stream.fileno()).st_size))
        stream.readinto(pages)
    return pages


def verified_info(blob: bytes | mmap, name: str) -> CheckpointInfo:
    """Return the card of a checkpoint in memory, its digest verified.

    Raises
    ------
    CheckpointError
        If it is not a checkpoint of napari-crii, or its digest does not agree.
    """
    try:
        header, _ = _split(blob)
        info = CheckpointInfo.from_json(header["__metadata__"][CARD_KEY])
        digest = compute_digest(blob, info)
    # Deep nesting exhausts the JSON reader's recursion.
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{name} is not a checkpoint of napari-crii") from error
    if digest != info.digest:
        raise CheckpointError(f"{name} is damaged: its digest does not agree with its contents")
    return info


def compute_digest(blob: bytes | mmap, info: CheckpointInfo) -> str:
    """Return the SHA-256 over a card (its own digest left out) and a file's tensors.

    Raises
    ------
    ValueError, KeyError, TypeError
        If the bytes are not a safetensors file.
    """
    header, start = _split(blob)
    sha = hashlib.sha256(replace(info, digest="").to_json().encode())
    for name in sorted(header.keys() - {"__metadata__"}):
        entry = header[name]
        first, last = entry["data_offsets"]
        sha.update(f"{name}{entry['dtype']}{entry['shape']}".encode())
        sha.update(memoryview(blob)[start + first : start + last])
    return sha.hexdigest()


def _split(blob: bytes | mmap) -> tuple[dict[str, Any], int]:
    """Return the header of a safetensors file, and where its tensors begin."""
    length = int.from_bytes(blob[:8], "little")
    if not 2 <= length <= min(_HEADER_LIMIT, len(blob) - 8):
        raise ValueError("no header")
    text = blob[8 : 8 + length]
    header = _object(json.loads(text))
    # One spelling only, so that a change of any byte shows: other spaces, a key given twice.
    if json.dumps(header, separators=(",", ":")).encode().ljust(length) != text:
        raise ValueError("not written as safetensors writes")
    return header, 8 + length


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("not a JSON object")
    return value
