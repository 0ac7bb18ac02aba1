"""Which slice of a case a viewer shows, and turning it to another slice or to a patch."""

from __future__ import annotations

import numpy as np
from napari.components import ViewerModel
from napari.layers import Layer

from napari_crii.patches import Patch
from napari_crii.volume import Volume
from napari_crii.widgets._compat import camera_of


class SlicesInView:
    """The slices of a scan, as a viewer steps through them.

    Parameters
    ----------
    viewer
        The viewer.
    layer
        A layer on the grid of the scan.
    volume
        The scan.
    """

    def __init__(self, viewer: ViewerModel, layer: Layer, volume: Volume) -> None:
        self._viewer = viewer
        self._layer = layer
        self._volume = volume
        # Asked for with every move of the mouse, and napari's transforms take their time.
        self._known: tuple[tuple[float, ...], int] | None = None
        for name in ("scale", "translate", "rotate", "shear", "affine"):
            getattr(layer.events, name).connect(self._forget)

    @property
    def current(self) -> int:
        """Index of the slice on display."""
        point = tuple(self._viewer.dims.point[-3:])
        if self._known is None or self._known[0] != point:
            row = round(self._layer.world_to_data(point)[0])
            self._known = (point, int(np.clip(row, 0, self._volume.slice_count - 1)))
        return self._known[1]

    def _forget(self, _event: object = None) -> None:
        """Ask the layer anew: somebody moved it."""
        self._known = None

    @property
    def on_display(self) -> bool:
        """Whether the viewer steps through slices (and not through rows, or shows 3-D)."""
        dims = self._viewer.dims
        return bool(dims.ndisplay == 2 and dims.ndim >= 3 and dims.order[-3] == dims.ndim - 3)

    def go_to(self, patch: Patch, zoom: float) -> None:
        """Show a patch: its slice, centred, at `zoom` canvas pixels per mm."""
        place = np.multiply((patch.slice, *patch.box.center), self._volume.slice_spacing)
        self.turn_to(patch.slice)
        dims, camera = self._viewer.dims, camera_of(self._viewer)
        # The canvas counts along displayed axes, which may be swapped.
        vertical, horizontal = (place[axis - dims.ndim] for axis in dims.order[-2:])
        camera.center = (0.0, float(vertical), float(horizontal))
        camera.zoom = zoom

    def turn_to(self, index: int) -> None:
        """Show a slice."""
        dims = self._viewer.dims
        if dims.ndim >= 3:
            dims.set_point(dims.ndim - 3, index * self._volume.slice_spacing[0])
