"""The seal of a journal that was closed in order: a digest of the whole file, beside it.

It is taken away before the first byte of the journal changes, so that a seal which stands and does
not fit tells of damage, in bytes to which SQLite gives no meaning too.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from napari_crii.errors import JournalError
from napari_crii.io.atomic import remove_durably, write_text


def seal_path(path: Path) -> Path:
    """Return where the digest of a whole journal stands."""
    return path.with_name(f"{path.name}.sha256")


def seal(path: Path) -> None:
    """Write the digest of a journal that is closed in order.

    Raises
    ------
    WriteError
        If it cannot be written.
    """
    write_text(seal_path(path), file_digest(path))


def unseal(path: Path) -> None:
    """Take the seal away, before the first byte of the journal changes.

    Raises
    ------
    OSError
        If it cannot be removed.
    """
    remove_durably(seal_path(path))


def verify_seal(path: Path) -> bool:
    """Whether a journal was closed in order.

    Raises
    ------
    JournalError
        If it was, and is not the same any more.
    """
    try:
        wanted = seal_path(path).read_bytes()
        if file_digest(path).encode() == wanted:
            return True
        again = seal_path(path).read_bytes()
    except FileNotFoundError:
        # Whoever opens it for writing takes the seal away first.
        return False
    if again != wanted:
        return verify_seal(path)
    raise JournalError(f"{path} is damaged: it is not as it was when it was closed")


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
