"""npe2 writer: a labels layer as a mask on its scan's own grid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np


def write_labels(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a labels layer, verified; return the paths written.

    The grid is that of the scan that the layer belongs to; a layer that belongs to none, or no
    longer has its shape, is written with its scale and without a place in the patient.

    Raises
    ------
    WriteError
        If the file cannot be written; what stood there before is unchanged.
    """
    from napari_crii._layers import VOLUME_KEY
    from napari_crii.geometry import Geometry
    from napari_crii.io import write_mask
    from napari_crii.volume import Volume, from_slices

    labels = np.asarray(data)
    labels = labels[np.newaxis] if labels.ndim == 2 else labels
    volume = attributes.get("metadata", {}).get(VOLUME_KEY)
    # Labels that were cropped or resampled have taken the metadata along.
    if isinstance(volume, Volume) and volume.slices().shape[:3] == labels.shape:
        mask, geometry = from_slices(labels, volume.slice_axis), volume.geometry
    else:
        scale = [abs(float(s)) for s in attributes.get("scale", ())][-3:]
        spacing = (*([1.0] * (3 - len(scale))), *scale)
        mask, geometry = labels, Geometry((spacing[0], spacing[1], spacing[2]))
    write_mask(Path(path), mask, geometry)
    return [path]
