"""Make the picture of the maps in ``docs/method.md``, from a scan and an expert's mask (label 1).

A row per slice; from left to right the proposal and the expert's outline, the outlines of the two
branches, where these differ, where errors are expected, and where they are::

    python docs/make_maps.py SCAN MASK docs/images/maps.jpg --slices 1,4,8
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from napari_crii.checkpoint import load_checkpoint
from napari_crii.cli._pictures import outline, with_map
from napari_crii.demo import shipped_checkpoint
from napari_crii.disagreement import disagreement
from napari_crii.inference import Predictor
from napari_crii.io import read_mask, read_scan
from napari_crii.volume import Volume, to_slices

SIDE, GAP, HEAD = 260, 6, 26
MARGIN_PIXELS = 24
AMPLIFIED = 16
TITLES = (
    "proposal (orange), expert (white)",
    "coarse (blue), refined (orange)",
    f"where they differ, {AMPLIFIED} times",
    "where errors are expected",
    "where they are",
)
ORANGE, BLUE, WHITE = (255, 150, 40), (90, 170, 255), (255, 255, 255)
Picture = NDArray[np.float64]
Mask = NDArray[np.bool_]


def main(scan: Path, mask: Path, picture: Path, slices: list[int]) -> None:
    """Draw the rows, and print what the picture's caption says of them."""
    volume = read_scan(scan)
    expert = to_slices(read_mask(mask)[0], volume.slice_axis) == 1
    predictor = Predictor(load_checkpoint(shipped_checkpoint()))
    rows = [row(predictor, volume, index, expert[index]) for index in slices]
    sheet = Image.new("RGB", (len(TITLES) * (SIDE + GAP), HEAD + len(rows) * (SIDE + GAP)))
    draw = ImageDraw.Draw(sheet)
    for column, title in enumerate(TITLES):
        draw.text((column * (SIDE + GAP) + 4, 4), title, WHITE, ImageFont.load_default(15))
    for line, tiles in enumerate(rows):
        for column, tile in enumerate(tiles):
            sheet.paste(tile, (column * (SIDE + GAP), HEAD + line * (SIDE + GAP)))
    picture.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(picture, quality=88)


def row(predictor: Predictor, volume: Volume, index: int, expert: Mask) -> list[Image.Image]:
    """Return the tiles of one slice, cut around the object."""
    prediction = predictor.predict_slice(volume, index)
    doubt = disagreement(prediction.coarse, prediction.refined, prediction.coarse_stride)
    proposed = prediction.labels() > 0
    coarse, refined = (p.argmax(axis=0) > 0 for p in (doubt.coarse, doubt.refined))
    cut = window(expert | proposed)
    grey = volume.slices()[index].astype(float)
    low, high = np.percentile(grey[cut], [0.5, 99.5])
    grey = np.clip((grey - low) / (high - low), 0, 1)[cut]
    errors = proposed != expert
    sys.stdout.write(
        f"slice {index}: {np.count_nonzero(errors)} pixels wrong; in the 1 % that score highest of "
        f"{errors.size}: {caught(doubt.score, errors):.2f}\n"
    )
    return [
        outlined(grey, (expert[cut], WHITE), (proposed[cut], ORANGE)),
        outlined(grey, (coarse[cut], BLUE), (refined[cut], ORANGE)),
        upon(grey, np.minimum(AMPLIFIED * doubt.branches[cut], 1)),
        upon(grey, doubt.score[cut]),
        upon(grey, errors[cut].astype(float), Image.Resampling.NEAREST),
    ]


def caught(score: NDArray[np.float32], errors: Mask) -> float:
    """Return which share of the errors lies in the hundredth of the pixels that score highest."""
    top = np.argsort(score, axis=None)[-errors.size // 100 :]
    return float(errors.ravel()[top].sum() / max(errors.sum(), 1))


def window(shown: Mask) -> tuple[slice, slice]:
    """Return a square around what is shown."""
    rows, columns = np.nonzero(shown)
    half = max(np.ptp(rows), np.ptp(columns)) // 2 + MARGIN_PIXELS
    middles = ((rows.min() + rows.max()) // 2, (columns.min() + columns.max()) // 2)
    starts = [
        int(np.clip(m - half, 0, max(0, n - 2 * half)))
        for m, n in zip(middles, shown.shape, strict=True)
    ]
    return slice(starts[0], starts[0] + 2 * half), slice(starts[1], starts[1] + 2 * half)


def outlined(grey: Picture, *shapes: tuple[Mask, tuple[int, int, int]]) -> Image.Image:
    """Return the slice with outlines, drawn on the enlarged tile so that they stay thin."""
    tile = np.asarray(enlarged(grey * 255, Image.Resampling.BICUBIC).convert("RGB")).copy()
    for shape, color in shapes:
        soft = np.asarray(enlarged(shape * 255.0, Image.Resampling.BILINEAR)) > 127
        tile[outline(soft)] = color
    return Image.fromarray(tile)


def upon(
    grey: Picture, values: NDArray[np.floating], how: Image.Resampling = Image.Resampling.BILINEAR
) -> Image.Image:
    """Return the dimmed slice under a map from 0 to 1."""
    under = np.asarray(enlarged(grey * 255, Image.Resampling.BICUBIC), dtype=float)
    over = np.asarray(enlarged(values * 255.0, how), dtype=float) / 255
    scan = np.repeat(under[..., None], 3, axis=-1).astype(np.float32)
    return Image.fromarray(with_map(scan, over.astype(np.float32)).astype(np.uint8))


def enlarged(values: NDArray[np.floating], how: Image.Resampling) -> Image.Image:
    """Return an image of the tile's size."""
    whole = Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))
    return whole.resize((SIDE, SIDE), how)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scan", type=Path)
    parser.add_argument("mask", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--slices", default="0", help="numbers, with commas between them")
    options = parser.parse_args()
    numbers = [int(part) for part in options.slices.split(",")]
    main(options.scan, options.mask, options.picture, numbers)
