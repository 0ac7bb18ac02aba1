"""One sentence for whatever a parser throws at a malformed file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_crii.errors import ScanError

_LONGEST_REASON = 160


@contextmanager
def refusing(path: str | Path, kind: str) -> Iterator[None]:
    """Turn every failure of a third-party parser into a :class:`ScanError` that names `path`.

    Parameters
    ----------
    path
        The file as the user gave it.
    kind
        What the file was taken for, such as ``"NIfTI file"``.
    """
    try:
        yield
    except ScanError:
        raise
    except MemoryError as error:
        raise ScanError(f"{path} needs more memory than this computer has free") from error
    # Parsers answer hostile bytes with any exception at all, from struct.error to RecursionError.
    except Exception as error:
        raise ScanError(f"{path} is not a readable {kind}: {reason(error)}") from error


def reason(error: BaseException) -> str:
    """Return the first sentence of an error's text, or its type when it has none."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].split(". ")[0][:_LONGEST_REASON].rstrip(" .:")
