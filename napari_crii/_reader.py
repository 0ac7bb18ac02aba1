"""npe2 reader: scans as napari layers, on their own grid."""

from __future__ import annotations

from collections.abc import Callable

from napari_crii._layers import LayerData, scan_layer

PathOrPaths = str | list[str]


def get_reader(path: PathOrPaths) -> Callable[[PathOrPaths], list[LayerData]] | None:
    """Return a reader if `path` looks like one scan; never raises."""
    from napari_crii.io import is_scan

    single = path[0] if isinstance(path, list) and len(path) == 1 else path
    return read_layers if isinstance(single, str) and is_scan(single) else None


def read_layers(path: PathOrPaths) -> list[LayerData]:
    """Read a scan as one image layer, slices first; the volume travels in its metadata.

    Raises
    ------
    ScanError
        If it cannot be opened; the sentence names the file and the rule.
    """
    return [scan_layer(path[0] if isinstance(path, list) else path)]
