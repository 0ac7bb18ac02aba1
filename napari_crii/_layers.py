"""How a scan becomes a napari layer: plain tuples and dicts, so no napari is needed here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_crii.errors import CriiError
from napari_crii.volume import Volume

VOLUME_KEY = "napari_crii_volume"

LayerData = tuple[Any, dict[str, Any], str]


def grid_arguments(volume: Volume) -> dict[str, Any]:
    """Return the layer arguments that place slices of a scan: scale and units, together.

    The scan is shown on its own grid: napari cannot slice a rotated layer. Its true position
    stays in the volume, in the layer's metadata, and returns on export.
    """
    unit = "pixel" if volume.is_image else "mm"
    return {
        "scale": volume.slice_spacing,
        "units": (unit,) * 3,
        "axis_labels": ("slice", "row", "column"),
        "metadata": {VOLUME_KEY: volume},
    }


def image_layer(volume: Volume) -> LayerData:
    """Return a scan as an image layer, slices first: (S, H, W) or (S, H, W, 3)."""
    arguments = {"name": volume.name, "rgb": volume.channels == 3, **grid_arguments(volume)}
    if volume.channels == 1:
        low, high = volume.intensity.low, volume.intensity.high
        arguments |= {"colormap": "gray", "contrast_limits": (low, max(high, low + 1e-6))}
    return (volume.slices(), arguments, "image")


def scan_layer(path: str | Path, volume_index: int | None = None) -> LayerData:
    """Read a scan as an image layer; parameters and errors as `napari_crii.io.read_scan`."""
    from napari_crii.io import read_scan

    return image_layer(read_scan(path, volume_index))


def preview_layer(path: Path) -> LayerData | None:
    """Return one slice of a DICOM series as a layer; None for other scans.

    None as well if it cannot be shown: reading the series says why.
    """
    from napari_crii.io.kinds import looks_like_dicom

    if not (path.is_dir() or (path.is_file() and looks_like_dicom(path))):
        return None
    from napari_crii.io.dicom import preview_series

    try:
        volume = preview_series(path)
    except CriiError:
        return None
    # A scan that is stepped through along another axis has no such slice.
    return image_layer(volume) if volume.slice_axis == 0 else None
