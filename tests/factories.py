"""Small networks, checkpoints and slices for the tests of the core."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_crii.checkpoint import Checkpoint
from napari_crii.classes import numbered_classes
from napari_crii.geometry import Geometry
from napari_crii.networks import CRIINet, NetworkConfig, seeded
from napari_crii.preprocessing import Preprocessing
from napari_crii.training import TrainingSlice
from napari_crii.volume import Volume

SPACINGS = {0: (5.0, 0.7, 1.3), 1: (0.7, 5.0, 1.3), 2: (1.3, 0.7, 5.0)}


def small_network(seed: int = 0, settled: bool = False, **changes: Any) -> CRIINet:
    """Return a narrow network; `settled` gives the refined head weights other than zero."""
    config = {"widths": (4, 4, 8, 8, 8), "refined_width": 8, "embedding": 4, **changes}
    with seeded(seed):
        network = CRIINet(NetworkConfig(**config))
        if settled:
            torch.nn.init.normal_(network.refined_head.weight, std=0.3)
    return network.eval()


def small_checkpoint(
    classes: int = 2, seed: int = 0, settled: bool = True, **recipe: Any
) -> Checkpoint:
    preprocessing = Preprocessing(**recipe)
    network = small_network(seed, settled, in_channels=preprocessing.in_channels, classes=classes)
    names = numbered_classes([f"class {i}" for i in range(1, classes)])
    return Checkpoint(network, names, preprocessing, provenance={"made": "for a test"})


def noise_scan(
    slice_axis: int = 0, shape: tuple[int, int, int] = (3, 20, 26), rgb: bool = False
) -> Volume:
    """Return a scan of noise; `shape` has the slices first, whatever the slice axis."""
    values = np.random.default_rng(7).integers(0, 900, (*shape, 3) if rgb else shape)
    array = np.moveaxis(values.astype(np.int16), 0, slice_axis)
    return Volume(np.ascontiguousarray(array), Geometry(SPACINGS[slice_axis]), "noise")


def probabilities(rng: np.random.Generator, *shape: int) -> NDArray[np.float32]:
    """Return probabilities (..., K, H, W) for a shape (..., H, W, K)."""
    *_, classes = shape
    drawn = rng.dirichlet(np.full(classes, 0.5), shape[:-1])
    return np.moveaxis(drawn, -1, -3).astype(np.float32).copy()


def disc(
    shape: tuple[int, int], center: tuple[float, float], radii: tuple[float, float]
) -> NDArray[np.bool_]:
    rows, columns = np.indices(shape)
    offsets = ((rows - center[0]) / radii[0]) ** 2 + ((columns - center[1]) / radii[1]) ** 2
    return np.asarray(offsets < 1)


def disc_slice(
    rng: np.random.Generator,
    shape: tuple[int, int] = (56, 64),
    brightness: float = 2.0,
    **changes: Any,
) -> TrainingSlice:
    """Return a noisy slice with one ellipse, brighter or darker than its surround."""
    center = rng.uniform(0.35, 0.65, 2) * shape
    truth = disc(shape, (center[0], center[1]), tuple(rng.uniform(0.16, 0.26, 2) * min(shape)))
    image = truth * brightness + rng.normal(0, 0.3, shape)
    return TrainingSlice(
        image=torch.from_numpy(image[None].astype(np.float32)),
        label=torch.from_numpy(truth.astype(np.int64)),
        weight=torch.ones(shape),
        **changes,
    )
