"""One picture of a whole proposal: every slice with its outline, and where errors are expected."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from napari_crii.classes import LabelClass
from napari_crii.cli._pictures import heat, outline, with_map
from napari_crii.orientation import letters, opposite
from napari_crii.scan_prediction import ScanPrediction
from napari_crii.volume import Volume, to_slices

_TILE = 220
_GAP = 6
_HEADER = 84
_LEAST_WIDTH = 860
_MOST_SLICES = 240
_SHAPE = 4 / 3
_PAPER, _INK = (24, 24, 24), (240, 240, 240)
Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class _View:
    """How slices are laid out.

    Attributes
    ----------
    size
        Width and height of a tile in pixels, in the proportions of the patient.
    flips
        In-plane axes to mirror, so that the patient is seen as readers are used to.
    caption
        What is at the top and on the left, or nothing.
    """

    size: tuple[int, int]
    flips: tuple[int, ...]
    caption: str


def contact_sheet(
    volume: Volume,
    prediction: ScanPrediction,
    classes: Sequence[LabelClass],
    seeds: Collection[int] = (),
) -> Image.Image:
    """Draw two tiles per slice: the scan with the proposed outline, and the map upon it.

    Parameters
    ----------
    seeds
        Slices whose labels the network was given; they are marked.

    Returns
    -------
    Image.Image
        RGB. Slices count from 0. Above 240 slices only every second, third, … is drawn, and
        the heading says so.
    """
    view = _view(volume)
    step = math.ceil(volume.slice_count / _MOST_SLICES)
    shown = range(0, volume.slice_count, step)
    pairs = [_pair(volume, prediction, classes, view, index) for index in shown]
    width, height = pairs[0].shape[1] + _GAP, pairs[0].shape[0] + _GAP
    columns = min(len(pairs), max(1, round(math.sqrt(len(pairs) * _SHAPE * height / width))))
    rows = math.ceil(len(pairs) / columns)
    size = (max(_LEAST_WIDTH, columns * width + _GAP), _HEADER + rows * height)
    sheet = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    _draw_header(sheet, draw, f"{volume.name}: {_extent(volume, step)}{view.caption}", classes)
    for place, (index, pair) in enumerate(zip(shown, pairs, strict=True)):
        corner = (_GAP + place % columns * width, _HEADER + place // columns * height)
        sheet.paste(Image.fromarray(pair), corner)
        _write_on(draw, corner, f"{index}{' seed' if index in seeds else ''}")
    return sheet


def _view(volume: Volume) -> _View:
    """Decide size and orientation; oblique grids have no usual side and are shown as stored."""
    geometry = volume.geometry
    rows, columns = (axis for axis in range(3) if axis != volume.slice_axis)
    height = volume.shape[rows] * geometry.spacing[rows]
    width = volume.shape[columns] * geometry.spacing[columns]
    scale = _TILE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if volume.is_image or geometry.is_oblique:
        return _View(size, (), "")
    points = letters(geometry)
    # Rows run down to posterior or inferior, columns run right to the patient's left.
    flips = tuple(i for i, axis in enumerate((rows, columns)) if points[axis] not in "PIL")
    down, right = (
        opposite(points[axis]) if i in flips else points[axis]
        for i, axis in enumerate((rows, columns))
    )
    return _View(size, flips, f", {opposite(down)} at the top, {opposite(right)} on the left")


def _extent(volume: Volume, step: int) -> str:
    count = volume.slice_count
    every = "" if step == 1 else f", one in {step} shown"
    return f"{count} slice{'s' if count > 1 else ''}{every}"


def _pair(
    volume: Volume,
    prediction: ScanPrediction,
    classes: Sequence[LabelClass],
    view: _View,
    index: int,
) -> Picture:
    """Return (H, 2 W + gap, 3): outline on the left, map on the right."""
    axis = volume.slice_axis
    scan = _scan(volume, view, index)
    labels = _laid_out(to_slices(prediction.mask, axis)[index], view, Image.Resampling.NEAREST)
    score = _laid_out(
        to_slices(prediction.disagreement, axis)[index], view, Image.Resampling.BILINEAR
    )
    outlined = scan.copy()
    for one in classes:
        outlined[outline(np.rint(labels) == one.id)] = _rgb(one.color)
    gap = np.full((len(scan), _GAP // 2, 3), _PAPER)
    return np.concatenate([outlined, gap, with_map(scan, score)], axis=1).astype(np.uint8)


def _scan(volume: Volume, view: _View, index: int) -> NDArray[np.float32]:
    """Return a slice as (H, W, 3), 0 to 255, windowed alike for the whole scan."""
    stats = volume.intensity
    span = max(stats.high - stats.low, 1e-6)
    values = (volume.slices()[index].astype(np.float32) - stats.low) / span * 255
    channels = [values] * 3 if values.ndim == 2 else list(np.moveaxis(values, -1, 0))
    laid_out = [_laid_out(channel, view, Image.Resampling.BICUBIC) for channel in channels]
    return np.clip(np.stack(laid_out, axis=-1), 0, 255)


def _laid_out(values: NDArray[Any], view: _View, resample: Image.Resampling) -> NDArray[np.float32]:
    turned = np.ascontiguousarray(np.flip(values, view.flips), dtype=np.float32)
    return np.asarray(Image.fromarray(turned).resize(view.size, resample), dtype=np.float32)


def _draw_header(
    sheet: Image.Image, draw: ImageDraw.ImageDraw, title: str, classes: Sequence[LabelClass]
) -> None:
    draw.text((_GAP, 4), title, _INK, _font(18))
    x = _write(draw, _GAP, 30, "Left: the scan and the outline proposed by the network, unreviewed")
    for one in classes:
        draw.rectangle((x + 10, 34, x + 22, 46), fill=_rgb(one.color))
        x = _write(draw, x + 28, 30, one.name)
    x = _write(draw, _GAP, 54, "Right: where errors are expected, from none")
    bar = heat(np.tile(np.linspace(0, 1, 120, dtype=np.float32), (12, 1)))
    sheet.paste(Image.fromarray(bar.astype(np.uint8)), (x + 10, 58))
    _write(draw, x + 140, 54, "to most; a ranking, not a probability")


def _write(draw: ImageDraw.ImageDraw, x: int, y: int, text: str) -> int:
    """Write in the running size and return where the text ends."""
    draw.text((x, y), text, _INK, _font(15))
    return math.ceil(draw.textbbox((x, y), text, _font(15))[2])


def _write_on(draw: ImageDraw.ImageDraw, corner: tuple[int, int], text: str) -> None:
    """Write on a tile, on a ground of its own."""
    box = draw.textbbox((corner[0] + 3, corner[1] + 1), text, _font(13))
    draw.rectangle((corner[0], corner[1], box[2] + 3, box[3] + 3), fill=_PAPER)
    draw.text((corner[0] + 3, corner[1] + 1), text, _INK, _font(13))


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _rgb(color: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(color.removeprefix("#"))
    return red, green, blue
