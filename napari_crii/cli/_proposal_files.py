"""The files of one scan's proposal: all of them, or none."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from napari_crii.classes import LabelClass
from napari_crii.cli._folders import create, remove_empty
from napari_crii.errors import CriiError, WriteError
from napari_crii.geometry import Geometry
from napari_crii.io import write_map, write_mask
from napari_crii.io.pairs import scan_stem
from napari_crii.scan_prediction import ScanPrediction
from napari_crii.volume import Volume

Writer = tuple[Path, Callable[[Path], None]]


@dataclass(frozen=True)
class ProposalFiles:
    """Where a proposal is written.

    Attributes
    ----------
    coarse, refined
        One map of probability per foreground class.
    """

    mask: Path
    coarse: tuple[Path, ...]
    refined: tuple[Path, ...]
    disagreement: Path

    @property
    def all(self) -> tuple[Path, ...]:
        """Every file, in the order of writing."""
        return (self.mask, *self.coarse, *self.refined, self.disagreement)


def proposal_files(
    folder: Path, stem: str, classes: Sequence[LabelClass], is_image: bool
) -> ProposalFiles:
    """Name the files of a scan's proposal.

    Parameters
    ----------
    classes
        With one foreground class the maps are ``_coarse`` and ``_refined``; with several, each
        class has its own, such as ``_refined-2-lesion``.
    is_image
        Whether the scan is a PNG or the like: then a ``.png`` mask and ``.tif`` maps, for lack
        of a voxel size; else ``.nii.gz``.
    """
    mask_suffix, map_suffix = (".png", ".tif") if is_image else (".nii.gz", ".nii.gz")
    endings = [""] if len(classes) == 1 else [f"-{c.id}-{_plain(c.name)}" for c in classes]
    return ProposalFiles(
        mask=folder / f"{stem}_mask{mask_suffix}",
        coarse=tuple(folder / f"{stem}_coarse{end}{map_suffix}" for end in endings),
        refined=tuple(folder / f"{stem}_refined{end}{map_suffix}" for end in endings),
        disagreement=folder / f"{stem}_disagreement{map_suffix}",
    )


def is_single_image(volume: Volume) -> bool:
    """Whether a scan is a PNG or the like, and no stack without a size."""
    return volume.is_image and volume.slice_count == 1


def unique_stems(scans: Sequence[Path]) -> list[str]:
    """Return a stem per scan; scans of one name get that of their folder in front.

    Raises
    ------
    CriiError
        If two scans are still named alike.
    """
    stems = [scan_stem(scan) for scan in scans]
    # Compared without case: on Windows and macOS such names are one file.
    folded = [stem.casefold() for stem in stems]
    stems = [
        f"{scan.absolute().parent.name}_{stem}" if folded.count(fold) > 1 else stem
        for scan, stem, fold in zip(scans, stems, folded, strict=True)
    ]
    seen: dict[str, Path] = {}
    for scan, stem in zip(scans, stems, strict=True):
        other = seen.setdefault(stem.casefold(), scan)
        if other is not scan:
            raise CriiError(f"{other} and {scan} would be written to the same files, {stem}_…")
    return stems


def refuse_existing(files: Sequence[Path], overwrite: bool) -> None:
    """Raise `WriteError` if a file exists: it may be a mask that somebody has corrected."""
    for file in files:
        if file.exists() and not overwrite:
            raise WriteError(f"{file} exists already: give --overwrite to replace it")


def proposal_writers(
    files: ProposalFiles, prediction: ScanPrediction, grid: Geometry
) -> list[Writer]:
    """Return what writes each file of a proposal."""
    maps = zip(
        (*files.coarse, *files.refined, files.disagreement),
        (*prediction.coarse, *prediction.refined, prediction.disagreement),
        strict=True,
    )
    mask: Writer = (files.mask, partial(write_mask, labels=prediction.mask, geometry=grid))
    return [mask, *((path, partial(write_map, values=v, geometry=grid)) for path, v in maps)]


def write_all(folder: Path, writers: Sequence[Writer]) -> None:
    """Create a folder and run writers into it; if one fails, nothing of the others remains.

    Raises
    ------
    WriteError
        If a file cannot be written, or does not read back the same.
    """
    created = create(folder)
    written: list[Path] = []
    try:
        for path, write in writers:
            write(path)
            written.append(path)
    except BaseException:
        for path in written:
            path.unlink(missing_ok=True)
        remove_empty(created)
        raise


def _plain(name: str) -> str:
    """Return a class name that every file system takes."""
    return re.sub(r"[^\w-]+", "-", name).strip("-") or "class"
