"""Out of a project: masks in their scans' geometry, data sets, and where all is from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_crii.errors import ProjectError, WriteError
from napari_crii.io import write_map, write_mask
from napari_crii.io.atomic import holds_anything, whole_folder, write_text
from napari_crii.session.correction import SliceStatus
from napari_crii.session.project import Project
from napari_crii.session.project_folder import require_empty
from napari_crii.session.reading import Reading
from napari_crii.session.records import CaseRecord
from napari_crii.session.sidecar import provenance_of
from napari_crii.volume import Volume, from_slices


class Layout(StrEnum):
    """How an export is laid out.

    ``masks`` writes the masks alone, `nnunet` a data set of nnU-Net (version 2), with the
    project's split, `msd` one in the manner of the Medical Segmentation Decathlon. Each mask
    has its provenance as JSON beside it, in ``provenance/`` for data sets.
    """

    MASKS = "masks"
    NNUNET = "nnunet"
    MSD = "msd"


@dataclass(frozen=True)
class Exported:
    """What an export wrote.

    Attributes
    ----------
    files
        Relative to its folder, in the order of writing.
    cases
        Names of the cases that are in it.
    left_out
        Names of the cases that are not finished.
    """

    files: tuple[str, ...]
    cases: tuple[str, ...]
    left_out: tuple[str, ...]


def export(
    project: Project,
    folder: Path,
    layout: Layout = Layout.MASKS,
    cases: Sequence[str] = (),
    unfinished: bool = False,
) -> Exported:
    """Write the human masks of a project, as they are on the disk.

    Parameters
    ----------
    project
        Whose masks.
    folder
        A new or empty folder; where anything fails, it stays so.
    layout
        What is written, and where.
    cases
        Names; all cases where none are named.
    unfinished
        Whether cases are written, too, that are not signed and of which not all slices are
        accepted: a data set takes what nobody said for background.

    Raises
    ------
    ProjectError
        If a case or its scan is missing, nothing is finished, or the folder is not empty.
    WriteError
        If a file cannot be written and verified.
    """
    named = dict.fromkeys(cases or project.records.cases)
    records = [project.record_of(name) for name in named]
    require_empty(folder, "export", holds_anything)
    works = {record.name: project.restored(record) for record in records}
    wanted = [r for r in records if unfinished or is_finished(works[r.name])]
    if not wanted:
        raise ProjectError(f"{project.folder} holds no case that is finished: nothing to export")
    with whole_folder(folder) as place:
        writer = _Writer(project, place, layout)
        for record in wanted:
            writer.case(record, works[record.name])
        writer.end(wanted)
    names = [record.name for record in wanted]
    left_out = tuple(record.name for record in records if record.name not in names)
    return Exported(tuple(writer.files), tuple(names), left_out)


def is_finished(work: Reading) -> bool:
    """Whether a reading is signed, or every slice of it is accepted."""
    open_slices = work.slices_with(SliceStatus.UNTOUCHED, SliceStatus.EDITED)
    return work.notes.signature is not None or not open_slices


class _Writer:
    """Writes an export file by file, and remembers which."""

    def __init__(self, project: Project, folder: Path, layout: Layout) -> None:
        self._project = project
        self._folder = folder
        self._layout = layout
        self._channels: set[int] = set()
        self.files: list[str] = []
        # Data sets number classes from 1 without gaps.
        ids = sorted(c.id for c in project.records.classes)
        self._numbers = np.zeros(ids[-1] + 1, dtype=np.uint16)
        self._numbers[ids] = np.arange(1, len(ids) + 1)

    def case(self, record: CaseRecord, work: Reading) -> None:
        """Write a case's mask, its scan where a data set needs it, and its provenance."""
        volume = self._project.scans.read(record)
        in_order = from_slices(work.human.labels, volume.slice_axis)
        mask: NDArray[np.integer] = np.ascontiguousarray(in_order)
        facts = provenance_of(record, self._project.records, work)
        if self._layout is Layout.MASKS:
            suffix = ".png" if volume.is_image else ".nii.gz"
            self._mask(f"{record.name}{suffix}", mask, volume)
            self._json(f"{record.name}.json", facts)
            return
        self._scan(record, volume)
        self._mask(f"labelsTr/{record.name}.nii.gz", self._numbers[mask], volume)
        facts["labels_in_file"] = self._labels()
        self._json(f"provenance/{record.name}.json", facts)

    def end(self, records: Sequence[CaseRecord]) -> None:
        """Write what describes a data set as a whole."""
        if self._layout is Layout.NNUNET:
            self._json("dataset.json", self._nnunet(len(records)))
            sides = [[r.name for r in records if r.validation is side] for side in (False, True)]
            self._json("splits_final.json", [{"train": sides[0], "val": sides[1]}])
        elif self._layout is Layout.MSD:
            self._json("dataset.json", self._msd([record.name for record in records]))

    def _scan(self, record: CaseRecord, volume: Volume) -> None:
        self._channels.add(volume.channels)
        if len(self._channels) > 1:
            raise ProjectError("grey and colour scans do not go into one data set")
        if self._layout is Layout.MSD and volume.channels > 1:
            raise ProjectError(f"{record.name} is in colour, which this layout cannot hold")
        channels = [volume.array] if volume.channels == 1 else np.moveaxis(volume.array, -1, 0)
        for number, values in enumerate(channels):
            end = f"_{number:04d}" if self._layout is Layout.NNUNET else ""
            path = self._path(f"imagesTr/{record.name}{end}.nii.gz")
            write_map(path, values, volume.geometry)

    def _mask(self, name: str, mask: NDArray[np.integer], volume: Volume) -> None:
        write_mask(self._path(name), mask, volume.geometry)

    def _json(self, name: str, facts: Any) -> None:
        text = json.dumps(facts, indent=2, allow_nan=False)
        write_text(self._path(name), text)

    def _path(self, name: str) -> Path:
        path = self._folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WriteError(f"{path.parent} cannot be made: {error.strerror}") from error
        self.files.append(name)
        return path

    def _labels(self) -> dict[str, int]:
        classes = self._project.records.classes
        return {"background": 0} | {c.name: int(self._numbers[c.id]) for c in classes}

    def _nnunet(self, count: int) -> dict[str, Any]:
        names = ["image"] if self._channels == {1} else ["R", "G", "B"]
        return {
            "channel_names": {str(number): name for number, name in enumerate(names)},
            "labels": self._labels(),
            "numTraining": count,
            "file_ending": ".nii.gz",
        }

    def _msd(self, names: Sequence[str]) -> dict[str, Any]:
        pairs = [
            {"image": f"./imagesTr/{n}.nii.gz", "label": f"./labelsTr/{n}.nii.gz"} for n in names
        ]
        return {
            "name": self._project.records.name,
            "tensorImageSize": "3D",
            "modality": {"0": "image"},
            "labels": {str(number): name for name, number in self._labels().items()},
            "numTraining": len(pairs),
            "numTest": 0,
            "training": pairs,
            "test": [],
        }
