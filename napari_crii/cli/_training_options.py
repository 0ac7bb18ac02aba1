"""What commands that train have in common: options, names of classes, the recipe."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_crii.errors import TrainingError

if TYPE_CHECKING:
    from napari_crii.preprocessing import Preprocessing


class Scope(StrEnum):
    """Over what intensities are standardised."""

    SLICE = "slice"
    VOLUME = "volume"


Images = Annotated[Path, typer.Option(readable=False, metavar="DIR", help="Folder of scans.")]
Labels = Annotated[
    Path,
    typer.Option(readable=False, metavar="DIR", help="Folder of masks, named like their scans."),
]
_GROUPS = typer.Option(
    readable=False, metavar="CSV", help="Table with the columns file and patient."
)
Groups = Annotated[Path, _GROUPS]
MaybeGroups = Annotated[Path | None, _GROUPS]
Classes = Annotated[
    str | None,
    typer.Option(
        metavar="NAME,NAME",
        help="Names of labels 1, 2, ...; with one name or none, all labels are one class.",
    ),
]
Iterations = Annotated[int, typer.Option(min=1, help="Steps of eight crops.")]
Crop = Annotated[int, typer.Option(min=16, help="Side of the crops, a multiple of 16 pixels.")]
MixedPrecision = Annotated[
    bool, typer.Option("--mixed-precision", help="Learn in bfloat16 where that is faster.")
]
Turned = Annotated[
    float, typer.Option(min=0, max=1, help="Share of crops turned by quarter turns while learning.")
]
# What generators of random numbers take is larger; several are counted on from one of these.
LARGEST_SEED = 2**32 - 1
Seed = Annotated[
    int,
    typer.Option(min=0, max=LARGEST_SEED, help="The same gives the same weights on one machine."),
]
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

AdaptiveContrast = Annotated[
    bool,
    typer.Option(
        "--adaptive-contrast", help="Equalise grey values neighbourhood by neighbourhood."
    ),
]

OneObject = Annotated[
    bool,
    typer.Option("--one-object", help="Each class is one connected object in every slice."),
]


@dataclass(frozen=True)
class RecipeChoice:
    """What the user decides about preprocessing; fields as in `Preprocessing`."""

    neighbours: int
    scope: Scope
    mirror: bool
    pixel_mm: float | None
    assumed_mm: float | None
    adaptive: bool = False
    one_object: bool = False


def recipe_of(images: Path, labels: Path, choice: RecipeChoice) -> Preprocessing:
    """Return the preprocessing: in colour if the first scan or any picture is."""
    from napari_crii.io import read_scan
    from napari_crii.io.kinds import RASTER_SUFFIXES
    from napari_crii.io.pairs import pair_files
    from napari_crii.preprocessing import Preprocessing

    first, *others = (scan for scan, _ in pair_files(images, labels))
    pictures = (scan for scan in others if scan.name.lower().endswith(RASTER_SUFFIXES))
    colour = any(read_scan(scan).channels == 3 for scan in (first, *pictures))
    return Preprocessing(
        channels=3 if colour else 1,
        neighbours=choice.neighbours,
        scope="volume" if choice.scope is Scope.VOLUME else "slice",
        mirror_axes=(0, 1) if choice.mirror else (),
        pixel_mm=choice.pixel_mm,
        assumed_mm=choice.assumed_mm,
        contrast="adaptive" if choice.adaptive else "stored",
        one_object=choice.one_object,
    )


def class_names(text: str | None) -> tuple[str, ...]:
    """Split the names of classes.

    Raises
    ------
    TrainingError
        If a name is empty or occurs twice.
    """
    return ("foreground",) if text is None else names_in(text, "classes")


def names_in(text: str, kind: str) -> tuple[str, ...]:
    """Split names at their commas; errors as `class_names`."""
    names = tuple(name.strip() for name in text.split(","))
    if not all(names) or len(set(names)) < len(names):
        raise TrainingError(f"the {kind} '{text}' need different names, with commas between them")
    return names


def say_what_is_left_out(images: Path, labels: Path) -> None:
    """Name the scans without a mask, and the masks without a scan."""
    from napari_crii.cli._output import note
    from napari_crii.io.pairs import pair_files, some_names, unpaired

    pair_files(images, labels)
    scans, masks = unpaired(images, labels)
    if scans:
        note(f"Left out, scans without a mask: {len(scans)} ({some_names(scans)})")
    if masks:
        note(f"Left out, masks without a scan: {len(masks)} ({some_names(masks)})")
