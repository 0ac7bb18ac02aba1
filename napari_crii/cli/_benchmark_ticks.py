"""``napari-crii benchmark ticks``: what corrections teach, slice by slice."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_crii.cli._comparison_options import Out, numbers_in
from napari_crii.cli._output import JsonOption, note, progress_bar, write_json
from napari_crii.cli._training_options import (
    AssumedMm,
    Classes,
    Images,
    Labels,
    MaybeGroups,
    NoMirror,
    PixelMm,
    RecipeChoice,
    Scope,
    ScopeOption,
    class_names,
    names_in,
    recipe_of,
)
from napari_crii.cli._written import beside, write_image, write_text

Other = Annotated[
    Path | None,
    typer.Option(
        "--other",
        readable=False,
        metavar="FILE",
        help="Checkpoint of another task to start from; without it, the shipped one, of the left "
        "ventricle.",
    ),
]
Starts = Annotated[str, typer.Option(metavar="NAME,NAME", help="Of none, other, own, grown.")]
Presets = Annotated[str, typer.Option(metavar="NAME,NAME", help="Of sup, plus.")]
Seeds = Annotated[str, typer.Option(metavar="N,N", help="Each draws its own scans.")]
Scans = Annotated[int, typer.Option(min=1, help="Scans to correct per seed.")]
Tested = Annotated[int, typer.Option(min=1, help="Other patients to test per seed.")]
Size = Annotated[int, typer.Option(min=16, help="Side of the crops, a multiple of 16 pixels.")]


def ticks(
    images: Images,
    labels: Labels,
    out: Out,
    groups: MaybeGroups = None,
    classes: Classes = None,
    other: Other = None,
    starts: Starts = "none,other,own,grown",
    presets: Presets = "sup,plus",
    seeds: Seeds = "0,1,2",
    scans: Scans = 4,
    tested: Tested = 3,
    size: Size = 128,
    scope: ScopeOption = Scope.SLICE,
    no_mirror: NoMirror = False,
    pixel_mm: PixelMm = None,
    assumed_mm: AssumedMm = None,
    as_json: JsonOption = False,
) -> None:
    """Correct 1, 2, 4 and 8 slices of a scan, learn after each round, test the rest.

    A stopped study goes on at its last finished run. Table and plot are written beside the runs,
    as Markdown and PNG.
    """
    table, plot = beside(out)
    names = class_names(classes)
    recipe = recipe_of(images, labels, RecipeChoice(0, scope, not no_mirror, pixel_mm, assumed_mm))
    from napari_crii.benchmark.ticks import TickStudy, study_ticks
    from napari_crii.benchmark.ticks_report import (
        presets_compared,
        ticks_page,
        ticks_plot,
        ticks_table,
    )
    from napari_crii.demo import shipped_checkpoint

    plan = TickStudy(
        images=images,
        labels=labels,
        groups=groups,
        classes=names,
        recipe=recipe,
        other=other or shipped_checkpoint(),
        starts=names_in(starts, "starts"),
        presets=names_in(presets, "presets"),
        seeds=numbers_in(seeds, "seeds"),
        scans=scans,
        tested=tested,
        crop=size,
    )
    with progress_bar("learning") as advance:
        runs = study_ticks(plan, out, advance)
    write_text(table, ticks_page(runs))
    write_image(plot, ticks_plot(runs))
    if as_json:
        write_json({"runs": str(out), "table": str(table), "plot": str(plot), "found": runs})
        return
    typer.echo("\n".join([ticks_table(runs), *presets_compared(runs)]))
    note(f"Written: {out}, {table}, {plot}")
