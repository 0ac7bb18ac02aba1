"""``napari-crii info``: what a scan is, and nothing about whom it shows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_crii.cli._output import JsonOption, write_json
from napari_crii.cli._scan_options import VolumeIndex

if TYPE_CHECKING:
    from napari_crii.volume import Volume

Scan = Annotated[
    Path,
    typer.Argument(
        readable=False,
        metavar="SCAN",
        help="A file, or a folder of DICOM.",
    ),
]


def info(scan: Scan, volume_index: VolumeIndex = None, as_json: JsonOption = False) -> None:
    """Tell a scan's shape, spacing, origin, orientation and intensities.

    Shape, spacing and orientation are in array order: slices, rows, columns as stored. The
    orientation names where each axis points: L or R, P or A, S or I.
    """
    from napari_crii.io import read_scan

    facts = scan_facts(str(scan), read_scan(scan, volume_index))
    if as_json:
        write_json(facts)
    else:
        typer.echo(_table(facts))


def scan_facts(scan: str, volume: Volume) -> dict[str, Any]:
    """Return what can be said about a scan, ready for JSON; spacing and origin in `unit`."""
    from napari_crii.cli._orientation import letters

    geometry = volume.geometry
    return {
        "scan": scan,
        "shape": list(volume.shape),
        "channels": volume.channels,
        "spacing": [_rounded(value) for value in geometry.spacing],
        "unit": geometry.unit,
        "origin": None if volume.is_image else [_rounded(value) for value in geometry.origin],
        "orientation": None if volume.is_image else letters(geometry),
        "oblique": geometry.is_oblique,
        "sheared": geometry.is_sheared,
        "slice_axis": volume.slice_axis,
        "slices": volume.slice_count,
        "type": str(volume.array.dtype),
        "intensity": [float(volume.array.min()), float(volume.array.max())],
        "remarks": list(volume.remarks),
    }


def _rounded(value: float) -> float:
    return round(value, 6)


def _table(facts: dict[str, Any]) -> str:
    """Return the facts as aligned lines."""
    low, high = facts["intensity"]
    colour = ", RGB" if facts["channels"] == 3 else ""
    known = facts["orientation"] is not None
    grid = [name for name in ("oblique", "sheared") if facts[name]]
    lines = [
        ("scan", facts["scan"]),
        ("shape", " x ".join(str(n) for n in facts["shape"]) + colour),
        ("spacing", " x ".join(f"{s:g}" for s in facts["spacing"]) + f" {facts['unit']}"),
        (
            "origin",
            ", ".join(f"{o:g}" for o in facts["origin"]) + " mm LPS" if known else "unknown",
        ),
        ("orientation", ", ".join([facts["orientation"], *grid]) if known else "unknown"),
        ("slices", f"{facts['slices']} along axis {facts['slice_axis']}"),
        ("type", facts["type"]),
        ("intensity", f"{low:g} to {high:g}"),
        *(("remark", remark) for remark in facts["remarks"]),
    ]
    return "\n".join(f"{name:<12} {value}" for name, value in lines)
