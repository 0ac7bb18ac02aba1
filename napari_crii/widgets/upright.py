"""The viewer turned so that a scan is seen as radiologists expect it; no layer changes."""

from __future__ import annotations

from dataclasses import fields

from napari.components import ViewerModel
from qtpy.QtCore import QTimer

from napari_crii.orientation import Edges, Layout, lay_out, upright_axes
from napari_crii.volume import Volume
from napari_crii.widgets._compat import camera_of, remove_edges, write_edge

STAGE_MS = 15


class UprightView:
    """Turn the camera and swap displayed axes, now and when the user turns to other planes.

    Parameters
    ----------
    viewer
        The viewer; what is shown in it has the slices of the scan first.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._volume: Volume | None = None
        self._stepped: int | None = None
        self._turning = False
        self._edges = Edges()
        self._writing = False
        self._closed = False
        events = viewer.dims.events
        self._events = (events.order, events.ndim, events.ndisplay)
        for event in self._events:
            event.connect(self._on_order)

    @property
    def volume(self) -> Volume | None:
        """The scan that the viewer is turned for."""
        return self._volume

    def show(self, volume: Volume) -> None:
        """Turn the viewer for a scan; one that does not tell how it lies is shown as stored.

        If it is the one on display already, the user's own turns stay.
        """
        if volume is self._volume:
            return
        self._volume, self._stepped = volume, None
        self._on_order()

    def close(self) -> None:
        """Leave the camera as it is and no longer turn it."""
        for event in self._events:
            event.disconnect(self._on_order)
        self._closed = True
        remove_edges(self._viewer)

    def _on_order(self, _event: object = None) -> None:
        volume, dims = self._volume, self._viewer.dims
        if volume is None or self._turning or dims.ndim < 3:
            return
        if not volume.has_orientation:
            self._apply(Layout())
            return
        self._swap(volume)
        vertical, horizontal = (axis - (dims.ndim - 3) for axis in dims.order[-2:])
        if min(vertical, horizontal) >= 0:
            self._apply(lay_out(volume.slice_geometry, vertical, horizontal))
        else:
            self._apply(Layout())

    def _swap(self, volume: Volume) -> None:
        """Put the displayed axes upright once per plane: a swap by the user himself stays."""
        dims = self._viewer.dims
        stepped = dims.order[-3] - (dims.ndim - 3)
        if stepped == self._stepped or stepped < 0:
            return
        self._stepped = stepped
        axes = (axis + dims.ndim - 3 for axis in upright_axes(volume.slice_geometry, stepped))
        order = (*dims.order[:-2], *axes)
        if order != dims.order:
            self._turning = True
            try:
                dims.order = order
            finally:
                self._turning = False

    def _apply(self, layout: Layout) -> None:
        wanted = (
            "towards" if layout.towards else "away",
            "down" if layout.down else "up",
            "right" if layout.right else "left",
        )
        camera = camera_of(self._viewer)
        if tuple(str(part) for part in camera.orientation) != wanted:
            camera.orientation = wanted
        # In 3-D the edges belong to no axis.
        self._edges = layout.edges if self._viewer.dims.ndisplay == 2 else Edges()
        if not self._writing:
            self._writing = True
            QTimer.singleShot(STAGE_MS, self._write)

    def _write(self) -> None:
        """Write one edge per turn of the event loop: the first words stop the window for 0.2 s."""
        if self._closed:
            return
        for field in fields(Edges):
            if write_edge(self._viewer, field.name, getattr(self._edges, field.name)):
                QTimer.singleShot(STAGE_MS, self._write)
                return
        self._writing = False
