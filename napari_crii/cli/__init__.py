"""The command line: one file per command, errors as one sentence and exit code 2.

Results go to standard output (with ``--json`` nothing but JSON does), notes, errors and
progress to standard error. Nothing heavy is imported before a command needs it.
"""

from __future__ import annotations

from typing import Annotated

import typer

from napari_crii.cli._guard import GuardedGroup
from napari_crii.cli._output import version
from napari_crii.cli.benchmark import app as benchmark
from napari_crii.cli.checkpoint import app as checkpoint
from napari_crii.cli.demo import demo
from napari_crii.cli.doctor import doctor
from napari_crii.cli.engine import engine
from napari_crii.cli.evaluate import evaluate
from napari_crii.cli.finetune import finetune
from napari_crii.cli.info import info
from napari_crii.cli.predict import predict
from napari_crii.cli.project import app as project
from napari_crii.cli.train import train

app = typer.Typer(
    name="napari-crii",
    cls=GuardedGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for _command, _example in (
    (info, "info scan.nii.gz --json"),
    (predict, "predict first.nii.gz second.nii.gz -o out --resume --json"),
    (train, 'train --images scans --labels masks --classes "organ,lesion" -o my.safetensors'),
    (finetune, "finetune hearts --preset sup --json"),
    (evaluate, "evaluate --predictions out --labels masks --json"),
    (demo, "demo scan.nii.gz --headless -o demo-output"),
    (doctor, "doctor --json"),
    (engine, "engine"),
):
    app.command(epilog=f"Example: napari-crii {_example}")(_command)
app.add_typer(benchmark)
app.add_typer(checkpoint)
app.add_typer(project)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"napari-crii {version()}")
        raise typer.Exit


@app.callback()
def _root(
    show_version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Few-label medical image segmentation with CRII-Net, its doubts made visible."""


def main() -> None:
    """Run the command line: the entry point ``napari-crii``."""
    app(prog_name="napari-crii")
