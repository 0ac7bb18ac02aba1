"""Small projects for the tests of the session."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_crii.classes import numbered_classes
from napari_crii.patches import Box, Patch, Reason
from napari_crii.session import Case, Proposal
from napari_crii.session.journal import Listener
from napari_crii.session.project import Project
from napari_crii.volume import Volume
from tests.factories import noise_scan

SHAPE = (4, 18, 23)
PATCH = Patch(1, Box(2, 4, 9, 14), 0.4, Reason.REGION)


def new_project(folder: Path) -> Path:
    Project.create(folder, "hearts", numbered_classes(["a", "b"]))
    return folder


def opened(folder: Path, reader: str = "r", listener: Listener | None = None) -> Project:
    return Project.open(folder, reader, listener)


def scan(seed: int = 0, axis: int = 0) -> Volume:
    """Return one of several different scans."""
    volume = noise_scan(axis, SHAPE)
    return Volume(volume.array + np.int16(seed), volume.geometry, "noise")


def proposal(index: int, label: int = 2, checkpoint: str = "w1") -> Proposal:
    labels = np.zeros(SHAPE[1:], dtype=np.uint8)
    labels[3:12, 5:15] = label
    return Proposal(index, labels, np.zeros(SHAPE[1:], dtype=np.uint8), (), checkpoint)


def stroke(case: Case, index: int, row: int, column: int, label: int = 1) -> None:
    drawn = case.shown(index).copy()
    drawn[row : row + 3, column : column + 2] = label
    assert case.draw(index, drawn) is not None


def same_work(one: Case, other: Case) -> bool:
    """Whether two cases hold the same voxels, sources, statuses and history."""
    return (
        np.array_equal(one.human.labels, other.human.labels)
        and np.array_equal(one.human.provenance, other.human.provenance)
        and [one.status(i) for i in range(one.shape[0])]
        == [other.status(i) for i in range(other.shape[0])]
        and [c.number for c in one.corrections] == [c.number for c in other.corrections]
    )
