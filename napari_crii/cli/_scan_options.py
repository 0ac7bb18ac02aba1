"""Options of the commands that open a scan."""

from __future__ import annotations

from typing import Annotated

import typer

VolumeIndex = Annotated[
    int | None,
    typer.Option(
        "--volume-index",
        min=0,
        help="Which volume of a 4-D scan (phase, time point), counted from 0.",
    ),
]
