"""``napari-crii finetune``: what the window does in the background, from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_crii.cli._output import JsonOption, write_json

if TYPE_CHECKING:
    from napari_crii.cli._finetuning import Outcome

Folder = Annotated[
    Path, typer.Argument(readable=False, metavar="PROJECT", help="Folder of a project.")
]
Ticks = Annotated[int, typer.Option(min=1, help="Runs, one after the other.")]
Preset = Annotated[
    str, typer.Option(metavar="NAME", help="sup, faithful or plus: what unlabelled slices teach.")
]
Iterations = Annotated[int, typer.Option(min=0, help="Steps of each run; 0: as in the window.")]
Where = Annotated[str, typer.Option(metavar="NAME", help="cpu, cuda or mps; else what is there.")]


def finetune(
    project: Folder,
    ticks: Ticks = 1,
    preset: Preset = "sup",
    iterations: Iterations = 0,
    device: Where = "",
    as_json: JsonOption = False,
) -> None:
    """Learn from what is accepted in a project, and publish the weights in it.

    It starts from the weights in use, or from a new network. As in the window, cases that validate
    are never learnt from, and weights that do worse on them are refused.
    """
    from napari_crii.cli._finetuning import Wish, run_finetuning

    outcome = run_finetuning(Wish(project, ticks, preset, iterations, device))
    if as_json:
        write_json(_facts(project, outcome))
        return
    for line in _lines(outcome):
        typer.echo(line)


def _facts(project: Path, outcome: Outcome) -> dict[str, Any]:
    return {
        "project": str(project),
        "slices": outcome.slices,
        "unlabelled_slices": outcome.unlabelled,
        "left_out": list(outcome.left_out),
        "ticks": [
            {
                "tick": tick.number,
                "reason": tick.reason,
                "checkpoint": tick.digest or None,
                "before": _score(tick.before),
                "after": _score(tick.after),
                "check_slices": tick.check_slices,
                "seconds": round(tick.seconds, 1),
                "message": tick.message,
            }
            for tick in outcome.ticks
        ],
        "in_use": outcome.in_use or None,
    }


def _score(dice: float) -> float | None:
    return None if dice < 0 else round(dice, 4)


def _lines(outcome: Outcome) -> list[str]:
    kept = any(tick.digest for tick in outcome.ticks)
    how = "Learnt from" if kept else "Nothing was published of what was learnt from"
    said = [f"{how} {outcome.slices} corrected slices."]
    for tick in outcome.ticks:
        what = f"published {tick.digest[:16]}" if tick.digest else tick.reason
        said.append(f"Tick {tick.number}, {tick.seconds:.0f} s: {what}. {tick.message}")
    in_use = outcome.in_use[:16] or "none"
    return [*said, f"In use: {in_use}."]
