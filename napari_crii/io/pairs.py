"""Which scan belongs to which mask: paired by the stems of their names."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from napari_crii.errors import ScanError
from napari_crii.io.kinds import FORMATS, is_scan, stem_of

_NAMED_AT_MOST = 3


def scan_stem(path: str | Path) -> str:
    """Return a scan's name without folder and suffix; a DICOM folder's name as it is."""
    # Resolved as text, so that "." and a trailing slash have a name too.
    name = os.path.basename(os.path.abspath(path))
    if os.path.isdir(path):
        return name
    return stem_of(name)


def scans_by_stem(folder: str | Path) -> dict[str, Path]:
    """Return the scans of a folder by stem: files, and subfolders of DICOM; others are ignored.

    Raises
    ------
    ScanError
        If the folder cannot be listed, or two of its scans have the same stem.
    """
    found: dict[str, Path] = {}
    for path in _entries(Path(folder)):
        # An .img belongs to its .hdr, which stands for both.
        if path.name.startswith(".") or path.suffix.lower() == ".img" or not is_scan(path):
            continue
        stem = scan_stem(path)
        if stem in found:
            raise ScanError(
                f"{folder} holds {found[stem].name} and {path.name}: "
                "which one is meant cannot be told, keep one of them"
            )
        found[stem] = path
    return found


def pair_files(images: Path, labels: Path) -> list[tuple[Path, Path]]:
    """Return (scan, mask) for every stem that both folders hold, in order of stems.

    Raises
    ------
    ScanError
        If a folder cannot be listed, is ambiguous or holds no scan, or nothing pairs.
    """
    scans, masks = scans_by_stem(images), scans_by_stem(labels)
    for folder, found in ((images, scans), (labels, masks)):
        if not found:
            raise ScanError(f"{folder} holds no {FORMATS}")
    both = sorted(scans.keys() & masks.keys())
    if not both:
        raise ScanError(
            f"no mask in {labels} is named like a scan in {images}: "
            f"{len(scans)} scans such as {min(scans)}, {len(masks)} masks such as {min(masks)}"
        )
    return [(scans[stem], masks[stem]) for stem in both]


def unpaired(images: Path, labels: Path) -> tuple[list[Path], list[Path]]:
    """Return the scans without a mask, and the masks without a scan; errors as `pair_files`."""
    scans, masks = scans_by_stem(images), scans_by_stem(labels)
    return (
        [scans[stem] for stem in sorted(scans.keys() - masks.keys())],
        [masks[stem] for stem in sorted(masks.keys() - scans.keys())],
    )


def some_names(paths: Sequence[Path]) -> str:
    """Return the first few names of a list, and that there are more."""
    names = [path.name for path in paths[:_NAMED_AT_MOST]]
    return ", ".join(names) + (", …" if len(paths) > _NAMED_AT_MOST else "")


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        reason = (error.strerror or "it cannot be read").lower()
        raise ScanError(f"{folder} cannot be listed as a folder: {reason}") from error
