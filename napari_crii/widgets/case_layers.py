"""The layers in which a case is shown: how they are made, their names and their colours.

All of them share the grid of the scan, and tell by `VIEW_KEY` that they are no scan themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from napari.layers import Image, Labels
from napari.utils.colormaps import DirectLabelColormap
from numpy.typing import NDArray

from napari_crii._layers import grid_arguments
from napari_crii.classes import LabelClass
from napari_crii.session import Case
from napari_crii.volume import Volume
from napari_crii.widgets.layers import VIEW_KEY

HUMAN, PROPOSAL, DISAGREEMENT = "Human mask", "Proposal", "Disagreement"


class CaseLayers(NamedTuple):
    """The layers of a case that hold an array (S, H, W) of their own, topmost first."""

    human: Labels
    proposal: Labels
    disagreement: Image


def make_layers(case: Case, classes: Sequence[LabelClass]) -> CaseLayers:
    """Return the layers of a case, still empty and in no viewer."""
    grid = view_grid(case.volume)
    zeros = np.zeros(case.shape, dtype=case.human.labels.dtype)
    disagreement = Image(
        np.zeros(case.shape, dtype=np.uint8),
        name=DISAGREEMENT,
        colormap="inferno",
        blending="additive",
        opacity=0.45,
        contrast_limits=(0, 255),
        **grid,
    )
    proposal = outline(zeros.copy(), PROPOSAL, classes, case.volume)
    human = Labels(zeros, name=HUMAN, colormap=class_colormap(classes), opacity=0.45, **grid)
    human.brush_size = 8
    # A brush on the layer of a project that is open for reading only would paint for nothing.
    human.editable = not case.read_only
    return CaseLayers(human, proposal, disagreement)


def outline(
    labels: NDArray[Any], name: str, classes: Sequence[LabelClass], volume: Volume
) -> Labels:
    """Return a mask (S, H, W) of a scan as outlines, which nobody can paint on."""
    colors = class_colormap(classes)
    layer = Labels(labels, name=name, colormap=colors, opacity=0.9, **view_grid(volume))
    layer.contour = 2
    layer.editable = False
    return layer


def view_grid(volume: Volume) -> dict[str, Any]:
    """Return the layer arguments that lay a view on the slices of a scan."""
    grid = grid_arguments(volume)
    return {**grid, "metadata": {**grid["metadata"], VIEW_KEY: True}}


def class_colormap(classes: Sequence[LabelClass]) -> DirectLabelColormap:
    """Return the colours of the classes, for a Labels layer."""
    colors: dict[int | None, str] = {None: "#ffffff", 0: "transparent"}
    return DirectLabelColormap(color_dict=colors | {c.id: c.color for c in classes})


def write_slice(layer: Labels | Image, index: int, values: NDArray[Any] | int) -> bool:
    """Write a slice (H, W), or one value, into a layer's own array; whether anything changed."""
    data = layer.data
    if np.array_equal(data[index], np.broadcast_to(values, data[index].shape)):
        return False
    data[index] = values
    return True
