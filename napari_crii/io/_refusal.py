"""One sentence for whatever a parser throws at a malformed file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_crii.errors import CriiError, ScanError

_LONGEST_REASON = 160
# What libraries say of their own insides, and what it means for a file.
_IN_WORDS = (
    (r"could not convert string|invalid literal|argument must be", "a number in it is no number"),
    (r"cannot convert float|overflow|out of range|too large", "a number in it is out of range"),
    (r"reshape|buffer size|buffer is", "its header promises pixels of another size"),
    (r"total bytes|bytes per value|unpack", "a value has a length that does not fit its type"),
    (r"cannot identify|work out file type", "its content is damaged or of another kind"),
    (r"data stream|while decompressing|not a gzip|incorrect header", "its packing is damaged"),
    (r"xpected \d+ bytes|file ended|runcated|ended before|failed to read", "it is truncated"),
    (r"data code (\S+) not recogni", r"its voxels have an unknown type, code \1"),
    (r"not a valid COMPRESSION", "it is packed in a way that is not known"),
    (r"not well-formed|image description", "the description in it is damaged"),
    (r"cannot load this image|broken PNG", "its content is damaged"),
    (r"\((\d+ pixels)\) exceeds limit", r"its \1 are more than can be opened safely"),
    (r"corrupted IFD", "its directory of tags is damaged"),
    (r"Missing dimensions", "it does not tell its size"),
    (r"color space conversion", "its colours have more than 8 bits"),
    (r"no pixel data", "it holds no Pixel Data"),
    (r"w2 should be positive", "the quaternion of its qform is no rotation"),
    (r"raised by all available", "its compressed pixels are damaged or of an unknown kind"),
)
_PACKAGE = "napari_crii."


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
        why = malformed(error)
        raise ScanError(f"{path} is not a readable {kind}: {why}") from error


def malformed(error: BaseException) -> str:
    """Say what a parser's failure means for the file, in words that need no knowledge of code."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    text = str(error)
    for pattern, words in _IN_WORDS:
        if found := re.search(pattern, text):
            return found.expand(words)
    return reason(error) if _is_ours(error) else "its structure is damaged"


def _is_ours(error: BaseException) -> bool:
    """Whether a sentence of this package was raised; others speak of their own insides."""
    if not isinstance(error, CriiError | ValueError) or not str(error).strip():
        return False
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is None or trace.tb_frame.f_globals.get("__name__", "").startswith(_PACKAGE)


def reason(error: BaseException) -> str:
    """Return the first sentence of an error's text, or its type when it has none."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].split(". ")[0][:_LONGEST_REASON].rstrip(" .:")
