"""The image layer of a scan that is being opened: one slice at first, later all of them."""

from __future__ import annotations

from napari.components import ViewerModel
from napari.layers import Image

from napari_crii._layers import VOLUME_KEY, LayerData
from napari_crii.volume import Volume
from napari_crii.widgets.layers import VIEW_KEY
from napari_crii.widgets.upright import UprightView


class ScanLayer:
    """Show a scan in a viewer in two steps.

    Parameters
    ----------
    viewer
        Where the layer lives.
    view
        Turned for the scan.
    """

    def __init__(self, viewer: ViewerModel, view: UprightView) -> None:
        self._viewer = viewer
        self._view = view
        self._layer: Image | None = None
        self._alone = False
        self._before: Volume | None = None

    def preview(self, made: LayerData | None) -> None:
        """Show one slice where the viewer is; nobody can annotate it yet.

        None, a scan without a preview, changes nothing.
        """
        if made is None:
            return
        data, arguments, _ = made
        volume = arguments["metadata"][VOLUME_KEY]
        self._alone, self._before = not self._viewer.layers, self._view.volume
        here = 0.0 if self._alone else float(self._viewer.dims.point[-3])
        arguments = {**arguments, "metadata": {VIEW_KEY: True}, "translate": (here, 0.0, 0.0)}
        self._layer = self._viewer.add_image(data, **arguments)
        self._view.show(volume)
        self._viewer.reset_view()

    def fill(self, made: LayerData) -> Image:
        """Show the whole scan, in the layer of its preview if that is still there."""
        data, arguments, _ = made
        layer = self._layer
        if layer is None or layer not in self._viewer.layers or layer.rgb != arguments["rgb"]:
            self.withdraw()
            layer = self._viewer.add_image(data, **arguments)
        else:
            self._put(layer, made)
        self._layer = None
        self._view.show(arguments["metadata"][VOLUME_KEY])
        self._viewer.reset_view()
        return layer

    def withdraw(self) -> None:
        """Take the preview away again, and turn back to the scan before."""
        if self._layer is not None and self._layer in self._viewer.layers:
            self._viewer.layers.remove(self._layer)
            if self._before is not None:
                self._view.show(self._before)
        self._layer = None

    def _put(self, layer: Image, made: LayerData) -> None:
        data, arguments, _ = made
        layer.data = data
        layer.scale, layer.translate = arguments["scale"], (0.0,) * 3
        layer.units = arguments["units"]
        layer.metadata = arguments["metadata"]
        if not layer.rgb:
            layer.contrast_limits_range = arguments["contrast_limits"]
            layer.contrast_limits = arguments["contrast_limits"]
        if self._alone:
            # As napari does with the first layer of a viewer.
            self._viewer.dims.set_current_step(self._viewer.dims.ndim - 3, len(data) // 2)
