"""``napari-crii benchmark``: protocols that measure, on anyone's own data; one file for each."""

from __future__ import annotations

import typer

from napari_crii.cli._benchmark_crossval import crossval
from napari_crii.cli._benchmark_errors import errors
from napari_crii.cli._benchmark_latency import latency
from napari_crii.cli._benchmark_loading import loading
from napari_crii.cli._benchmark_ssl import ssl
from napari_crii.cli._benchmark_ticks import ticks

app = typer.Typer(name="benchmark", no_args_is_help=True, help="Measure, on your own data.")
for _command, _example in (
    (loading, "loading --slices 60 --json"),
    (
        crossval,
        "crossval --images scans --labels masks --groups patients.csv --out runs.jsonl",
    ),
    (ssl, "ssl --images scans --labels masks --labelled 0.04 --out few.jsonl"),
    (errors, "errors --images scans --labels masks --out errors.jsonl"),
    (ticks, "ticks --images scans --labels masks --out ticks.jsonl"),
    (latency, "latency --part proposal --json"),
):
    app.command(epilog=f"Example: napari-crii benchmark {_example}")(_command)
