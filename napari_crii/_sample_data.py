"""npe2 sample data: the generated phantom."""

from __future__ import annotations

from napari_crii._layers import LayerData, grid_arguments, image_layer


def make_sample_data() -> list[LayerData]:
    """Return the phantom's scan and its true mask as layers, slices first."""
    from napari_crii.phantom import make_phantom
    from napari_crii.volume import to_slices

    volume, labels = make_phantom()
    truth = {"name": "true mask", "visible": False, **grid_arguments(volume)}
    return [image_layer(volume), (to_slices(labels, volume.slice_axis), truth, "labels")]
