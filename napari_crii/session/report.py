"""What a project holds, how far it has come, and whether it is intact."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

from napari_crii.checkpoint_info import read_checkpoint_info
from napari_crii.errors import CriiError, ProjectError
from napari_crii.session.progress import case_progress, slice_progress
from napari_crii.session.project import Project
from napari_crii.session.records import CaseRecord
from napari_crii.session.sidecar import edits, moment
from napari_crii.session.signing import mask_digest
from napari_crii.session.weights import PublishedWeights


def status(project: Project) -> dict[str, Any]:
    """Return classes, weights and cases of a project, ready for JSON."""
    records, holder = project.records, project.holder
    return {
        "name": records.name,
        "classes": [
            {"id": c.id, "name": c.name, "color": c.color, "locked": c.id in project.locked}
            for c in records.classes
        ],
        "checkpoints": records.checkpoints,
        "weights": [_weights(one, project.weights.in_use) for one in records.weights],
        "open_for_writing_by": None if holder is None else holder.in_words(),
        "entries": project.saved.number,
        "cases": [_case(project, record) for record in records.cases.values()],
    }


def problems(project: Project) -> list[str]:
    """Replay every case, read every scan and every weight; return what is wrong, in sentences.

    The journal itself was verified when the project was opened.
    """
    records = project.records.cases.values()
    checks: list[Callable[[], object]] = [
        *(partial(project.scans.read, record) for record in records),
        *(partial(_check_work, project, record) for record in records),
        *(partial(_check_weights, one) for one in project.weights.all),
    ]
    found = []
    for check in checks:
        try:
            check()
        except CriiError as error:
            found.append(str(error))
    return found


def _check_work(project: Project, record: CaseRecord) -> None:
    """Replay a case; a signature must stand under the mask that was signed."""
    work = project.restored(record)
    signed = work.notes.signature
    if signed is not None and signed.digest != mask_digest(work):
        raise ProjectError(f"{record.name} is not as {signed.by} signed it")


def _check_weights(one: PublishedWeights) -> None:
    assert one.path is not None
    if read_checkpoint_info(one.path).digest != one.digest:
        raise ProjectError(f"{one.path} does not hold the weights that were added under that name")


def _weights(weights: PublishedWeights, in_use: str) -> dict[str, Any]:
    facts = asdict(weights)
    del facts["path"]
    return {**facts, "when": moment(weights.when), "in_use": weights.digest == in_use}


def _case(project: Project, record: CaseRecord) -> dict[str, Any]:
    work = project.restored(record)
    slices = Counter(slice_progress(work, index) for index in range(record.shape[0]))
    signed = work.notes.signature
    return {
        "case": record.name,
        "patient": record.patient,
        "validation": record.validation,
        "progress": case_progress(work),
        "slices": dict(sorted((str(kind), count) for kind, count in slices.items())),
        "edits": edits(work),
        "seconds": round(work.notes.seconds, 1),
        "reader": project.records.readers.get(record.reading(project.reading), ""),
        "signed_by": None if signed is None else signed.by,
        "signed_at": None if signed is None else moment(signed.at),
    }
