"""What the user chose to work on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_crii.classes import LabelClass
from napari_crii.volume import Volume


@dataclass(frozen=True)
class Task:
    """What the user chose to work on.

    Attributes
    ----------
    volume
        The scan.
    classes
        Foreground classes.
    checkpoint
        The weights; None is a new network, which first has to learn.
    """

    volume: Volume
    classes: tuple[LabelClass, ...]
    checkpoint: Path | None
