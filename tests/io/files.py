"""Files under test: bytes of theirs overwritten, their refusal in words, names in their folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_crii.errors import ScanError
from napari_crii.io import read_scan


def patched(path: Path, offset: int, content: bytes) -> Path:
    """Overwrite bytes of an uncompressed file."""
    raw = bytearray(path.read_bytes())
    raw[offset : offset + len(content)] = content
    path.write_bytes(raw)
    return path


def refusal(path: Path) -> str:
    """Return the sentence in which a scan is refused: one line that names the file or folder."""
    with pytest.raises(ScanError) as caught:
        read_scan(path)
    assert path.name in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def only(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir()}
