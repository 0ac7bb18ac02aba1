"""Which scan an image layer shows."""

from __future__ import annotations

import numpy as np
from napari.layers import Image, Layer

from napari_crii._layers import VOLUME_KEY
from napari_crii.geometry import Geometry
from napari_crii.volume import Volume


def volume_of(layer: Layer) -> Volume | None:
    """Return the scan that a layer shows; None if it is not one that can be annotated."""
    volume = layer.metadata.get(VOLUME_KEY)
    if isinstance(volume, Volume):
        return volume
    if not isinstance(layer, Image) or layer.multiscale:
        return None
    return _volume_of_foreign(layer)


def _volume_of_foreign(layer: Image) -> Volume | None:
    """Build the scan of a layer that another plugin opened, and remember it on the layer."""
    array = np.asarray(layer.data)
    if array.ndim == (3 if layer.rgb else 2):
        array = array[np.newaxis]
    if array.ndim != (4 if layer.rgb else 3):
        return None
    scale = [float(abs(s)) for s in layer.scale]
    spacing = (*([1.0] * (3 - len(scale))), *scale)
    known = any(s != 1.0 for s in spacing)
    geometry = Geometry((spacing[0], spacing[1], spacing[2]), unit="mm" if known else "px")
    volume = Volume(
        array[..., :3] if layer.rgb else array,
        geometry,
        layer.name,
        ("opened by another reader: its position in the patient is not known",),
    )
    layer.metadata[VOLUME_KEY] = volume
    return volume
