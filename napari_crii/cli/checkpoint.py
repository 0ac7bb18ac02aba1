"""``napari-crii checkpoint``: what weights are, whether they are whole, and other forms of them."""

from __future__ import annotations

import json
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_crii.cli._guard import USER_ERROR, sentence
from napari_crii.cli._output import JsonOption, note, write_json
from napari_crii.errors import CheckpointError, WriteError

if TYPE_CHECKING:
    from napari_crii.checkpoint import Checkpoint
    from napari_crii.checkpoint_info import CheckpointInfo

_LARGEST_HALF = 65504.0


class Kind(StrEnum):
    """How weights are stored."""

    FP16 = "fp16"
    FP32 = "fp32"


File = Annotated[
    Path, typer.Argument(readable=False, metavar="FILE", help="A checkpoint, *.safetensors.")
]
Files = Annotated[
    list[Path],
    typer.Argument(readable=False, metavar="FILE...", help="Checkpoints, *.safetensors."),
]
Output = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        readable=False,
        metavar="FILE",
        help="*.safetensors for the weights, *.json for the card alone.",
    ),
]
KindOption = Annotated[Kind, typer.Option("--as", help="How to store weights.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a file that exists.")]

app = typer.Typer(name="checkpoint", no_args_is_help=True, help="Look at, verify, export weights.")


@app.command(epilog="Example: napari-crii checkpoint info my.safetensors --json")
def info(file: File, as_json: JsonOption = False) -> None:
    """Tell what a checkpoint says about itself: classes, network, recipe, provenance, digest."""
    from napari_crii.checkpoint_info import read_checkpoint_info

    card = read_checkpoint_info(file)
    if as_json:
        write_json(json.loads(card.to_json()))
    else:
        typer.echo(_table(card))


@app.command(epilog="Example: napari-crii checkpoint verify first.safetensors second.safetensors")
def verify(files: Files, as_json: JsonOption = False) -> None:
    """Compare the digests of checkpoints with their contents; exit code 2 if one is not whole.

    JSON is an array with one object for each that is.
    """
    from napari_crii.checkpoint_info import read_checkpoint_info

    whole: list[dict[str, str]] = []
    for file in files:
        try:
            whole.append({"checkpoint": str(file), "digest": read_checkpoint_info(file).digest})
        except CheckpointError as error:
            note(f"Error: {sentence(error)}")
            continue
        if not as_json:
            typer.echo(f"{file}: whole, digest {whole[-1]['digest']}")
    if as_json:
        write_json(whole)
    if len(whole) < len(files):
        raise typer.Exit(USER_ERROR)


@app.command(
    epilog="Example: napari-crii checkpoint export my.safetensors --as fp16 -o half.safetensors"
)
def export(
    file: File,
    output: Output,
    kind: KindOption = Kind.FP32,
    overwrite: Overwrite = False,
    as_json: JsonOption = False,
) -> None:
    """Write weights as 32-bit or 16-bit numbers, or the card alone as JSON.

    What is written is verified. The card of the new file names the digest of the old one.
    """
    suffix = output.suffix.lower()
    if suffix not in (".json", ".safetensors"):
        raise WriteError(f"{output} was not saved: its name must end in .safetensors or .json")
    if output.exists() and not overwrite:
        raise WriteError(f"{output} exists: give --overwrite to replace it")
    digest = (
        _export_card(file, output) if suffix == ".json" else _export_weights(file, output, kind)
    )
    if as_json:
        write_json({"written": str(output), "digest": digest})
    else:
        typer.echo(f"{output}: digest {digest}")


def _export_card(file: Path, output: Path) -> str:
    from napari_crii.checkpoint_info import read_checkpoint_info
    from napari_crii.io.atomic import atomic_write

    card = read_checkpoint_info(file)
    text = json.dumps(json.loads(card.to_json()), indent=2) + "\n"

    def check(written: Path) -> None:
        if written.read_text("utf-8") != text:
            raise WriteError("it did not read back the same")

    atomic_write(output, lambda path: _write_text(path, text), check)
    return card.digest


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, "utf-8", newline="\n")


def _export_weights(file: Path, output: Path, kind: Kind) -> str:
    from napari_crii.checkpoint import load_checkpoint, save_checkpoint

    checkpoint = load_checkpoint(file)
    half = kind is Kind.FP16
    if half:
        _require_half(checkpoint, file)
    facts = {**checkpoint.provenance, "exported_from": checkpoint.digest}
    return save_checkpoint(output, replace(checkpoint, provenance=facts), half).digest


def _require_half(checkpoint: Checkpoint, file: Path) -> None:
    """Refuse weights that would become infinite."""
    largest = max(float(tensor.abs().max()) for tensor in checkpoint.network.state_dict().values())
    if largest > _LARGEST_HALF:
        raise CheckpointError(f"{file} holds a weight of {largest:g}, more than fp16 can hold")


def _table(card: CheckpointInfo) -> str:
    """Return the card as aligned lines."""
    rows: list[tuple[str, Any]] = [
        *(("class", f"{c.id} {c.name} {c.color}") for c in card.classes),
        *((f"network {key}", value) for key, value in card.network.items()),
        *((f"recipe {key}", value) for key, value in card.preprocessing.items()),
        ("low contrast", card.low_contrast),
        *((f"made: {key}", value) for key, value in card.provenance.items()),
        ("digest", card.digest),
    ]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)
