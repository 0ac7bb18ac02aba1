"""``napari-crii train``: from a folder of scans and a folder of masks to a checkpoint."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_crii.cli._output import Advance, JsonOption, note, progress_bar, version, write_json
from napari_crii.errors import TrainingError, WriteError

if TYPE_CHECKING:
    from napari_crii.checkpoint import Checkpoint
    from napari_crii.preprocessing import Preprocessing
    from napari_crii.training import Event, Finished, TrainingSlice

_SUFFIX = ".safetensors"


class Scope(StrEnum):
    """Over what intensities are standardised."""

    SLICE = "slice"
    VOLUME = "volume"


Images = Annotated[Path, typer.Option(readable=False, metavar="DIR", help="Folder of scans.")]
Labels = Annotated[
    Path,
    typer.Option(readable=False, metavar="DIR", help="Folder of masks, named like their scans."),
]
Output = Annotated[
    Path,
    typer.Option(
        "--output", "-o", readable=False, metavar="FILE", help="The checkpoint, *.safetensors."
    ),
]
Groups = Annotated[
    Path | None,
    typer.Option(readable=False, metavar="CSV", help="Table with the columns file and patient."),
]
Classes = Annotated[
    str | None,
    typer.Option(
        metavar="NAME,NAME",
        help="Names of labels 1, 2, ...; with one name or none, all labels are one class.",
    ),
]
Iterations = Annotated[int, typer.Option(min=1, help="Steps of eight crops.")]
Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same weights.")]
Neighbours = Annotated[int, typer.Option(min=0, help="Slices seen on either side.")]
ScopeOption = Annotated[Scope, typer.Option(help="Standardise intensities per slice or volume.")]
NoMirror = Annotated[
    bool, typer.Option("--no-mirror", help="For classes that a mirror would swap: left, right.")
]
PixelMm = Annotated[
    float | None, typer.Option(help="Resample slices to pixels of this size; else as stored.")
]
AssumedMm = Annotated[
    float | None, typer.Option(help="Pixel size taken for images that carry none, such as PNG.")
]
Half = Annotated[bool, typer.Option("--half", help="Store 16-bit weights: half the size.")]


@dataclass(frozen=True)
class _Run:
    """What is asked of a training run."""

    images: Path
    labels: Path
    output: Path
    groups: Path | None
    classes: tuple[str, ...]
    iterations: int
    seed: int
    neighbours: int
    scope: Scope
    mirror: bool
    pixel_mm: float | None
    assumed_mm: float | None
    half: bool


def train(
    images: Images,
    labels: Labels,
    output: Output,
    groups: Groups = None,
    classes: Classes = None,
    iterations: Iterations = 1500,
    seed: Seed = 0,
    neighbours: Neighbours = 0,
    scope: ScopeOption = Scope.SLICE,
    no_mirror: NoMirror = False,
    pixel_mm: PixelMm = None,
    assumed_mm: AssumedMm = None,
    half: Half = False,
    as_json: JsonOption = False,
) -> None:
    """Train a network from scratch on every slice of every scan that has a mask."""
    from napari_crii.cli._folders import require_writable

    if output.suffix.lower() != _SUFFIX:
        raise WriteError(f"{output} is no name for a checkpoint: it must end in {_SUFFIX}")
    require_writable(output.parent)
    run = _Run(
        images=images,
        labels=labels,
        output=output,
        groups=groups,
        classes=class_names(classes),
        iterations=iterations,
        seed=seed,
        neighbours=neighbours,
        scope=scope,
        mirror=not no_mirror,
        pixel_mm=pixel_mm,
        assumed_mm=assumed_mm,
        half=half,
    )
    _say_what_is_left_out(run)
    report = _train(run)
    if as_json:
        write_json(report)
    else:
        typer.echo(
            f"{report['checkpoint']}: learnt from {report['slices']} slices of "
            f"{report['patients']} patients, final loss {report['loss']:.3f}"
        )


def class_names(text: str | None) -> tuple[str, ...]:
    """Split the names of classes.

    Raises
    ------
    TrainingError
        If a name is empty or occurs twice.
    """
    if text is None:
        return ("foreground",)
    names = tuple(name.strip() for name in text.split(","))
    if not all(names) or len(set(names)) < len(names):
        raise TrainingError(f"the classes '{text}' need different names, with commas between them")
    return names


def finished(events: Iterable[Event], advance: Advance) -> tuple[Finished, float]:
    """Show the progress of a run, and return how it ended, with its last loss.

    Raises
    ------
    TrainingError
        If it failed.
    """
    from napari_crii.training import Finished, FinishReason, Stepped

    loss = float("inf")
    for event in events:
        if isinstance(event, Stepped):
            loss = event.loss
            advance(event.step, event.total, f"loss {loss:.3f}")
        elif isinstance(event, Finished) and event.reason is FinishReason.FAILED:
            raise TrainingError(f"training failed, nothing was saved: {event.message}")
        else:
            return event, loss
    raise TrainingError("training ended without a result")


def _say_what_is_left_out(run: _Run) -> None:
    from napari_crii.io.pairs import pair_files, some_names, unpaired

    pair_files(run.images, run.labels)
    scans, masks = unpaired(run.images, run.labels)
    if scans:
        note(f"Left out, scans without a mask: {len(scans)} ({some_names(scans)})")
    if masks:
        note(f"Left out, masks without a scan: {len(masks)} ({some_names(masks)})")


def _train(run: _Run) -> dict[str, Any]:
    import numpy as np

    from napari_crii.checkpoint import new_checkpoint, save_checkpoint
    from napari_crii.classes import numbered_classes
    from napari_crii.cli._folders import create
    from napari_crii.training import TrainingConfig, fit

    recipe = _recipe(run)
    data = _load(run, recipe)
    facts = provenance(run.images, data, run.iterations, run.seed)
    fresh = new_checkpoint(numbered_classes(list(run.classes)), recipe, run.seed, facts)
    config = TrainingConfig(iterations=run.iterations, mirror_axes=recipe.mirror_axes)
    with progress_bar("learning") as advance:
        events = fit(fresh.network, data, config, np.random.default_rng(run.seed))
        _, loss = finished(events, advance)
    create(run.output.parent)
    return _report(run, save_checkpoint(run.output, fresh, run.half), loss)


def _recipe(run: _Run) -> Preprocessing:
    """Return the preprocessing; the first scan tells whether they are in colour."""
    from napari_crii.io import read_scan
    from napari_crii.io.pairs import pair_files
    from napari_crii.preprocessing import Preprocessing

    first, _ = pair_files(run.images, run.labels)[0]
    return Preprocessing(
        channels=read_scan(first).channels,
        neighbours=run.neighbours,
        scope="volume" if run.scope is Scope.VOLUME else "slice",
        mirror_axes=(0, 1) if run.mirror else (),
        pixel_mm=run.pixel_mm,
        assumed_mm=run.assumed_mm,
    )


def _load(run: _Run, recipe: Preprocessing) -> list[TrainingSlice]:
    from napari_crii.training.folder import load_folder

    with progress_bar("reading") as advance:
        data = load_folder(
            run.images,
            run.labels,
            recipe,
            run.classes,
            run.groups,
            lambda done, total: advance(done, total, ""),
        )
    if not any(bool((item.label > 0).any()) for item in data):
        raise TrainingError(f"the masks in {run.labels} are all empty: there is nothing to learn")
    return data


def provenance(
    images: Path, data: list[TrainingSlice], iterations: int, seed: int
) -> dict[str, Any]:
    """Return where weights come from: facts only, no path and no patient."""
    return {
        "command": "napari-crii train",
        "data": images.absolute().name,
        "slices": len(data),
        "patients": len({item.patient for item in data}),
        "iterations": iterations,
        "seed": seed,
        "version": version(),
    }


def _report(run: _Run, saved: Checkpoint, loss: float) -> dict[str, Any]:
    facts = saved.provenance
    return {
        "checkpoint": str(run.output),
        "digest": saved.digest,
        "classes": list(run.classes),
        "slices": facts["slices"],
        "patients": facts["patients"],
        "iterations": facts["iterations"],
        "seed": facts["seed"],
        "loss": loss,
    }
