"""``napari-crii benchmark loading``: what it costs to open a scan."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from napari_crii.cli._output import JsonOption, note, write_json

_FIRST = {
    "visible": "visible (its own header checked, handed to napari)",
    "checked": "checked (the headers of all slices read)",
}

Slices = Annotated[int, typer.Option(min=1, help="Slices of 512 x 512 in each scan.")]
Repeats = Annotated[int, typer.Option(min=2, help="Rounds in which to alternate.")]


def loading(slices: Slices = 600, repeats: Repeats = 5, as_json: JsonOption = False) -> None:
    """Time the opening of a scan in every format over the bare libraries, and its memory.

    The scans are made in a temporary folder, which needs about 3 MB for each slice.
    """
    from napari_crii.benchmark.loading import loading as measure
    from napari_crii.benchmark.machine import describe_machine

    report = {**measure(slices, repeats, told=note), "machine": describe_machine()}
    if as_json:
        write_json(report)
    else:
        typer.echo("\n".join(loading_lines(report)))


def loading_lines(report: dict[str, Any]) -> list[str]:
    """Return the report as a table, with the first slice of the series below."""
    from napari_crii.benchmark.table import markdown_table

    head = ("format", "bare reader", "over bare", "95 %", "ours, s", "memory over voxels")
    rows = [_row(name, record) for name, record in report["formats"].items()]
    first, machine = report["first_slice"], report["machine"]
    size = " x ".join(str(n) for n in report["shape"])
    return [
        markdown_table(head, rows),
        *(
            f"first DICOM slice {what}: after {first[name]:.3f} of the series' time "
            f"({first[name + '_over_bare']:.3f} of pydicom's)"
            for name, what in _FIRST.items()
        ),
        f"{size}, {report['repeats']} rounds; {machine['cpu']}, {machine['cores']} cores",
    ]


def _row(name: str, record: dict[str, Any]) -> tuple[str, ...]:
    low, high = record["over_bare_interval"]
    return (
        name,
        record["reader"],
        f"{record['over_bare']:.2f}",
        f"{low:.2f} to {high:.2f}",
        f"{record['milliseconds']['ours'] / 1000:.2f}",
        f"{record['memory_over_voxels']:.2f}",
    )
