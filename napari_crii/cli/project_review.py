"""``napari-crii project sign`` and ``agree``: the reviewer's part of a project."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_crii.cli._output import JsonOption, write_json
from napari_crii.errors import ProjectError

if TYPE_CHECKING:
    from napari_crii.session.agreement import Agreement
    from napari_crii.volume import Volume

Folder = Annotated[Path, typer.Argument(readable=False, metavar="DIR", help="Of the project.")]
CaseName = Annotated[str, typer.Argument(metavar="CASE", help="Name of the case.")]
ReadingOption = Annotated[int, typer.Option("--reading", min=1, max=2, help="First or second.")]


def sign(
    folder: Folder,
    case: CaseName,
    by: Annotated[str, typer.Option(help="Who signs; appears in exports.")],
    reading: ReadingOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Sign a case off as it stands; the next correction makes the signature void."""
    from napari_crii.session.project import Project
    from napari_crii.session.signing import sign_off

    if not by.strip():
        raise ProjectError("a signature needs a name")
    # Who signs need not be who read.
    with Project.open(folder, reading=reading) as project:
        signed = sign_off(project.open_case(case), by)
    facts = {"case": case, "by": by, "mask_sha256": signed.digest, "unseen": signed.unseen}
    if as_json:
        write_json(facts)
    else:
        typer.echo(f"Signed {case}; {len(signed.unseen)} slices were never looked at.")


def agree(
    folder: Folder,
    case: CaseName,
    maps: Annotated[
        Path | None,
        typer.Option(
            readable=False, metavar="TO", help="Writes where readers differ, and a consensus."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare both signed readings of a case: Dice, surface Dice at 2 mm, HD95, and STAPLE."""
    from napari_crii.session.agreement import agreement
    from napari_crii.session.project import Project

    with Project.open(folder, reading=2, read_only=True) as project:
        record = project.record_of(case)
        volume = project.scans.read(record)
        found = agreement(project, record, volume.slice_spacing)
        names = {c.id: c.name for c in project.records.classes}
    if maps is not None:
        _write_maps(maps, case, found, volume)
    facts = _facts(case, found, names)
    if as_json:
        write_json(facts)
    else:
        typer.echo(_table(facts))


def _write_maps(folder: Path, case: str, found: Agreement, volume: Volume) -> None:
    import numpy as np

    from napari_crii.cli._folders import create
    from napari_crii.io import write_mask
    from napari_crii.volume import from_slices

    paths = {f"{case}_{what}.nii.gz": what for what in ("differing", "consensus")}
    existing = [name for name in paths if (folder / name).exists()]
    if existing:
        raise ProjectError(f"{folder / existing[0]} exists already")
    create(folder)
    for name, what in paths.items():
        array = from_slices(getattr(found, what), volume.slice_axis)
        write_mask(folder / name, np.ascontiguousarray(array), volume.geometry)


def _facts(case: str, found: Agreement, names: dict[int, str]) -> dict[str, Any]:
    return {
        "case": case,
        "readers": list(found.readers),
        "differing_voxels": int(found.differing.sum()),
        "classes": {
            names[label]: {
                "dice": scores.dice,
                "nsd": scores.nsd,
                "hd95": scores.hd95 if math.isfinite(scores.hd95) else None,
            }
            for label, scores in found.scores.items()
        },
    }


def _table(facts: dict[str, Any]) -> str:
    head = f"{facts['case']}: {' and '.join(facts['readers'])}"
    lines = [f"{head} differ in {facts['differing_voxels']} voxels"]
    for name, scores in facts["classes"].items():
        distance = "none" if scores["hd95"] is None else f"{scores['hd95']:.2f}"
        lines.append(
            f"{name:<16} Dice {scores['dice']:.3f}  NSD {scores['nsd']:.3f}  HD95 {distance}"
        )
    return "\n".join(lines)
