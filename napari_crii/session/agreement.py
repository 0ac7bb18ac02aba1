"""How far two readers of a case agree, and what both together would say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_crii.errors import ProjectError
from napari_crii.io.consensus import staple
from napari_crii.metrics import Scores, evaluate
from napari_crii.session.project import Project
from napari_crii.session.records import CaseRecord


@dataclass(frozen=True, eq=False)
class Agreement:
    """Two readings of a case side by side; arrays have the slices first.

    Attributes
    ----------
    readers
        Who read first and second; where no reader was named, who signed.
    scores
        Dice, NSD and HD95 by class.
    differing
        (S, H, W) True where the two differ.
    consensus
        (S, H, W) uint16, labels by STAPLE.
    """

    readers: tuple[str, str]
    scores: dict[int, Scores]
    differing: NDArray[np.bool_]
    consensus: NDArray[np.integer]


def agreement(project: Project, record: CaseRecord, spacing: Sequence[float]) -> Agreement:
    """Compare both readings of a case, as they are on the disk.

    Parameters
    ----------
    project
        Whose case it is.
    record
        Of the case.
    spacing
        Size of a voxel in mm: between slices, rows, columns.

    Raises
    ------
    ProjectError
        Unless both readers signed.
    """
    second = project.restored(record, 2)
    if second.notes.signature is None:
        raise ProjectError(f"{record.name}: there is no second reading that is signed")
    first = project.restored(record, 1)
    if first.notes.signature is None:
        raise ProjectError(f"{record.name}: the first reading is not signed")
    masks = first.human.labels, second.human.labels
    classes = [c.id for c in project.records.classes]
    readers = project.records.readers
    return Agreement(
        (
            readers.get(record.reading(1)) or first.notes.signature.by,
            readers.get(record.reading(2)) or second.notes.signature.by,
        ),
        evaluate(*masks, spacing, classes),
        np.asarray(masks[0] != masks[1]),
        staple(masks, classes),
    )
