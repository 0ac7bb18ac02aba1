"""The classes of a task: what each label value means."""

from __future__ import annotations

from dataclasses import dataclass

# Okabe-Ito colours: told apart by colour-blind readers, visible on light and dark themes.
PALETTE = ("#e69f00", "#56b4e9", "#cc79a7", "#009e73", "#f0e442", "#d55e00", "#0072b2")


@dataclass(frozen=True)
class LabelClass:
    """One foreground class; label 0 is background and has no entry.

    Attributes
    ----------
    id
        Label value in masks, 1 to 65,535.
    name
        In the user's words.
    color
        ``#rrggbb``.
    """

    id: int
    name: str
    color: str = PALETTE[0]


def numbered_classes(names: list[str]) -> tuple[LabelClass, ...]:
    """Return classes 1, 2, ... with these names and colours that can be told apart."""
    return tuple(
        LabelClass(i, name, PALETTE[(i - 1) % len(PALETTE)]) for i, name in enumerate(names, 1)
    )
