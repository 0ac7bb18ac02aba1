"""What the demonstration shows, on any machine: a task, for the window and for the command line.

Without a scan it is white matter on the MNI152 T1 template, which nilearn's wheel carries; with
a scan it is that scan and the shipped weights. No network here: who shows the task, learns it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_crii._resources import SHIPPED_CHECKPOINT, resource
from napari_crii.checkpoint_info import read_checkpoint_info
from napari_crii.classes import LabelClass, numbered_classes
from napari_crii.errors import CheckpointError, CriiError
from napari_crii.io import read_scan
from napari_crii.volume import Volume, to_slices

SEED_SLICES = (40, 80, 120)
# Steps of a first run (`training.tick_config.FIRST_RUN`): about a minute on two cores.
DEMO_ITERATIONS = 180
_TEMPLATE = "mni_icbm152_{}_tal_nlin_sym_09a_converted.nii.gz"
_CAVEAT = (
    "This is one subject and one template: it shows the tool at work and is no evidence "
    "for patients."
)


@dataclass(frozen=True, eq=False)
class DemoTask:
    """A scan and what is known about it.

    Attributes
    ----------
    volume
        The scan.
    classes
        Foreground classes to propose.
    checkpoint
        Weights to propose with; None: a fresh network learns from `seeds`.
    seeds
        Slice index to its finished labels (H, W), rows and columns as in `Volume.slices`.
    truth
        (Z, Y, X) the true classes of every slice, to score the proposal with; or None.
    iterations
        Steps in which the fresh network learns; 0 where there is nothing to learn.
    remark
        What the figures of this demonstration do not prove.
    """

    volume: Volume
    classes: tuple[LabelClass, ...]
    checkpoint: Path | None = None
    seeds: Mapping[int, NDArray[np.integer]] = field(default_factory=dict)
    truth: NDArray[np.integer] | None = None
    iterations: int = 0
    remark: str = ""


def mni_task(iterations: int = DEMO_ITERATIONS) -> DemoTask:
    """Return the task without a scan: white matter on a T1 MRI, three slices of it labelled.

    Raises
    ------
    CriiError
        If nilearn, whose wheel carries the scan, is not installed.
    """
    volume = read_scan(_template("t1"))
    # Stored 0 to 255: above a half, white matter is the most probable tissue.
    truth = np.greater(read_scan(_template("wm")).array, 127).astype(np.uint8)
    by_slice = to_slices(truth, volume.slice_axis)
    return DemoTask(
        volume=Volume(volume.array, volume.geometry, "MNI152-T1", volume.remarks),
        classes=numbered_classes(["white matter"]),
        seeds={index: by_slice[index].astype(np.uint8) for index in SEED_SLICES},
        truth=truth,
        iterations=iterations,
        remark=_CAVEAT,
    )


def scan_task(
    path: str | Path, checkpoint: Path | None = None, volume_index: int | None = None
) -> DemoTask:
    """Return the task for a user's own scan: the shipped weights, or those given.

    Parameters
    ----------
    volume_index
        Which volume of a 4-D scan, counted from 0.

    Raises
    ------
    ScanError
        If the scan cannot be read.
    CheckpointError
        If the weights cannot be read.
    """
    volume = read_scan(path, volume_index)
    weights = checkpoint or shipped_checkpoint()
    return DemoTask(volume, read_checkpoint_info(weights).classes, weights)


def shipped_checkpoint() -> Path:
    """Return the weights that travel with the package: left ventricle on cine MRI.

    Raises
    ------
    CheckpointError
        If the installation carries none.
    """
    try:
        return resource("checkpoints", SHIPPED_CHECKPOINT)
    except FileNotFoundError as error:
        raise CheckpointError(str(error)) from error


def _template(tissue: str) -> Path:
    """Return a file of nilearn's wheel; nilearn itself is not imported."""
    spec = importlib.util.find_spec("nilearn")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "datasets" / "data" / _TEMPLATE.format(tissue)
        if path.is_file():
            return path
    raise CriiError(
        "the demo without a scan shows the MRI that nilearn carries: "
        'install it with pip install "napari-crii[demo]", or name a scan of your own'
    )
