"""Every writer of files, with a reading of its files by another library."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from napari_crii.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from napari_crii.geometry import Geometry
from napari_crii.io import write_map, write_mask
from tests.factories import small_checkpoint
from tests.faults import readers
from tests.faults.grids import Affine, Array, random_affine


@dataclass(frozen=True)
class Writer:
    """A kind of file.

    Attributes
    ----------
    name
        For messages; ends in the suffix.
    make
        Returns content of about the given number of voxels, drawn at random.
    write
        Writes content to a path, through the code under test.
    differs
        Says how a file differs from content, by another library; empty if it does not.
    """

    name: str
    make: Callable[[np.random.Generator, int], Any]
    write: Callable[[Path, Any], None]
    differs: Callable[[Path, Any], str]

    @property
    def suffix(self) -> str:
        """The suffix of its files."""
        return self.name[self.name.index(".") :]


def _labels(rng: np.random.Generator, voxels: int) -> tuple[Array, Affine]:
    return rng.integers(0, 250, (4, 5, voxels // 20)).astype(np.uint8), random_affine(
        rng, "oblique"
    )


def _values(rng: np.random.Generator, voxels: int) -> tuple[Array, Affine]:
    array = rng.normal(size=(4, 5, voxels // 20)).astype(np.float32)
    return array, random_affine(rng, "oblique")


def _flat_labels(rng: np.random.Generator, voxels: int) -> Array:
    return rng.integers(0, 250, (1, 10, voxels // 10)).astype(np.uint8)


def _flat_values(rng: np.random.Generator, voxels: int) -> Array:
    return rng.normal(size=(1, 10, voxels // 10)).astype(np.float32)


def _weights(rng: np.random.Generator, voxels: int) -> Checkpoint:
    return small_checkpoint(seed=int(rng.integers(1000)))


def _write_grid(write: Callable[..., None]) -> Callable[[Path, Any], None]:
    return lambda path, content: write(path, content[0], Geometry.from_affine(content[1]))


def _write_flat(write: Callable[..., None]) -> Callable[[Path, Any], None]:
    return lambda path, content: write(path, content, Geometry.pixels())


def _write_weights(path: Path, content: Checkpoint) -> None:
    save_checkpoint(path, content)


def _grid_differs(path: Path, content: tuple[Array, Affine]) -> str:
    by_other = readers.by_nibabel if ".nii" in path.name else readers.by_simpleitk
    array, affine = by_other(path)
    if array.dtype != content[0].dtype or not np.array_equal(array, content[0]):
        return "other voxels"
    return "" if np.allclose(affine, content[1], atol=1e-3) else "another grid"


def _png_differs(path: Path, content: Array) -> str:
    with Image.open(path) as image:
        return "" if np.array_equal(np.asarray(image), content[0]) else "other pixels"


def _tiff_differs(path: Path, content: Array) -> str:
    return "" if np.array_equal(tifffile.imread(path), content[0]) else "other pixels"


def _weights_differ(path: Path, content: Checkpoint) -> str:
    found = load_checkpoint(path).network.state_dict()
    expected = content.network.state_dict()
    same = all(np.array_equal(found[k].numpy(), expected[k].numpy()) for k in expected)
    return "" if same and found.keys() == expected.keys() else "other weights"


WRITERS = (
    Writer("mask.nii", _labels, _write_grid(write_mask), _grid_differs),
    Writer("mask.nii.gz", _labels, _write_grid(write_mask), _grid_differs),
    Writer("mask.nrrd", _labels, _write_grid(write_mask), _grid_differs),
    Writer("mask.mha", _labels, _write_grid(write_mask), _grid_differs),
    Writer("mask.png", _flat_labels, _write_flat(write_mask), _png_differs),
    Writer("map.nii.gz", _values, _write_grid(write_map), _grid_differs),
    Writer("map.tif", _flat_values, _write_flat(write_map), _tiff_differs),
    Writer("checkpoint.safetensors", _weights, _write_weights, _weights_differ),
)
