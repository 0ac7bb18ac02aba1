"""``napari-crii engine``: the network's process for a window on another machine."""

from __future__ import annotations

from typing import Annotated

import typer

Trainer = Annotated[bool, typer.Option("--trainer", help="Learn once instead of proposing.")]


def engine(trainer: Trainer = False) -> None:
    """Carry the network for a window on another machine, over standard input and output.

    A window starts this by itself when it is told how: napari-crii demo --engine "ssh HOST
    napari-crii engine", or NAPARI_CRII_ENGINE in its environment. It ends with its input.
    """
    from napari_crii.engine.command import ENGINE, TRAINER, local_command
    from napari_crii.engine.relay import relay

    relay(local_command(TRAINER if trainer else ENGINE))
