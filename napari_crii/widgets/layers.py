"""Which scan an image layer shows."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Image, Layer
from numpy.typing import NDArray

from napari_crii._layers import VOLUME_KEY
from napari_crii.geometry import EQUAL_SPACING_TOLERANCE, Geometry
from napari_crii.volume import ORIENTATION_UNKNOWN, Volume

VIEW_KEY = "napari_crii_view"


def can_be_annotated(layer: Layer) -> bool:
    """Whether an image layer shows one scan; loads nothing."""
    if not isinstance(layer, Image) or layer.multiscale or VIEW_KEY in layer.metadata:
        return False
    return layer.data.ndim in ((3, 4) if layer.rgb else (2, 3)) and 0 not in layer.data.shape


def volume_of(layer: Layer) -> Volume | None:
    """Return the scan that a layer shows; None if it is not one that can be annotated."""
    if not can_be_annotated(layer):
        return None
    volume = layer.metadata.get(VOLUME_KEY)
    # A layer that was cropped or given other data has taken the metadata along.
    if isinstance(volume, Volume) and volume.slices().shape[:3] == _slices_of(layer).shape[:3]:
        return volume
    return _volume_of_foreign(layer)


def known_digest(layer: Layer) -> str:
    """Return the digest of the scan that a layer shows, or ``""`` until it was opened as a case.

    Loads nothing and computes nothing: a digest reads every voxel.
    """
    if not can_be_annotated(layer):
        return ""
    volume = layer.metadata.get(VOLUME_KEY)
    if not isinstance(volume, Volume) or volume.slices().shape[:3] != _slices_of(layer).shape[:3]:
        return ""
    return str(vars(volume).get("digest", ""))


def _slices_of(layer: Image) -> NDArray[Any]:
    """Return a layer's data with the slices first, (S, H, W) or (S, H, W, channels)."""
    data: NDArray[Any] = layer.data
    return data if data.ndim == (4 if layer.rgb else 3) else data[np.newaxis]


def _volume_of_foreign(layer: Image) -> Volume:
    """Build the scan of a layer that another plugin opened, and remember it on the layer."""
    array = np.asarray(_slices_of(layer))
    scale = [float(abs(s)) for s in layer.scale]
    spacing = (*([1.0] * (3 - len(scale))), *scale)
    # The layer is stepped through along its first axis, whatever its spacing.
    thick_first = spacing[0] >= max(spacing) * (1 - EQUAL_SPACING_TOLERANCE)
    known = thick_first and any(s != 1.0 for s in spacing)
    geometry = Geometry((spacing[0], spacing[1], spacing[2]), unit="mm" if known else "px")
    volume = Volume(
        array[..., :3] if layer.rgb else array,
        geometry,
        layer.name,
        (f"{ORIENTATION_UNKNOWN}: opened by another reader",),
    )
    layer.metadata[VOLUME_KEY] = volume
    return volume
