"""A plot of scores from 0 to 1: a line per name, a dot per value, a bar at their mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw

_LEFT, _WIDTH, _ROW, _TOP = 190, 620, 24, 34
_MARKED, _PLAIN = "#d55e00", "#0072b2"


class Dots(NamedTuple):
    """A line of the plot: its name, values from 0 to 1, their mean, and whether it stands out."""

    name: str
    values: Sequence[float]
    mean: float
    marked: bool = False


def dot_plot(quantity: str, lines: Sequence[Dots]) -> Image.Image:
    """Return the plot of a quantity, RGB, as high as it has lines."""
    bottom = _TOP + _ROW * len(lines)
    image = Image.new("RGB", (_LEFT + _WIDTH + 40, bottom + 16), "white")
    draw = ImageDraw.Draw(image)
    for tick in range(0, 11, 2):
        x = _LEFT + _WIDTH * tick / 10
        draw.line((x, _TOP, x, bottom), fill="#dddddd")
        draw.text((x, 10), f"{tick / 10:.1f}", fill="#444444", anchor="ma")
    draw.text((12, 10), quantity, fill="#444444")
    for index, line in enumerate(lines):
        y = _TOP + _ROW * index + _ROW // 2
        color = _MARKED if line.marked else _PLAIN
        draw.text((12, y), line.name, fill="black", anchor="lm")
        for value in line.values:
            x = _LEFT + _WIDTH * value
            draw.ellipse((x - 3, y - 3, x + 3, y + 3), outline=color)
        x = _LEFT + _WIDTH * line.mean
        draw.rectangle((x - 1, y - 9, x + 1, y + 9), fill=color)
    return image
