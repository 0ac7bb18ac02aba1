"""F5, geometry round trips: every format x 48 axis orders x oblique x anisotropic.

What we write is read by other libraries, what they write is read by us, and both are compared
with the truth in space: voxels after mapping by geometry, the eight corners, type and labels.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from napari_crii.errors import ScanError
from napari_crii.geometry import CORNER_TOLERANCE_MM, Geometry
from napari_crii.io import read_mask, read_scan, write_map, write_mask
from tests.faults import readers
from tests.faults.frame import Verdict, main
from tests.faults.grids import (
    ORDERS,
    TILTS,
    Affine,
    Array,
    corners,
    is_right_handed,
    misplaced,
    random_affine,
    reordered,
)
from tests.faults.series import write_series

FULL = 2500
_FORMS = ("sform", "qform", "both")
Truth = tuple[Array, Affine]
Route = Callable[[Path, str, Truth, Truth, np.random.Generator], Iterator[str]]


def check(seed: int, folder: Path) -> Verdict:
    """Run the case of this seed: its route and axis order are enumerated, the rest is drawn."""
    rng = np.random.default_rng(seed)
    route = seed % len(ROUTES)
    name, suffix, go = ROUTES[route]
    order = ORDERS[(seed // len(ROUTES) + 5 * route) % len(ORDERS)]
    tilt = TILTS[rng.choice(4, p=[0.2, 0.2, 0.45, 0.15])]
    base = random_affine(rng, tilt)
    shape = tuple(int(n) for n in rng.permutation([3, 4, 5]) + rng.integers(0, 3))
    if go is opened and not suffix.startswith(".nii") and tilt == "sheared":
        # Written by SimpleITK, which has no sheared grids.
        tilt = "oblique"
        base = random_affine(rng, tilt)
    voxels = _voxels(rng, shape, go)
    truth = reordered(voxels, base, order)
    words = f"{name} {suffix} {voxels.dtype} {tilt} axes {order[0]} flips {order[1]}"
    for fault in go(folder, suffix, (voxels, base), truth, rng):
        if fault:
            return Verdict(words, fault)
    return Verdict(words, outcome=name)


def saved(
    folder: Path, suffix: str, base: Truth, truth: Truth, rng: np.random.Generator
) -> Iterator[str]:
    """We write a mask; we and others read it."""
    path = folder / f"mask{suffix}"
    labels, affine = truth
    write_mask(path, labels.astype(np.int64), Geometry.from_affine(affine))
    back, geometry = read_mask(path)
    yield _differences("own reading", (back, geometry.affine), base, truth)
    yield from _others(path, base, truth)


def saved_map(
    folder: Path, suffix: str, base: Truth, truth: Truth, rng: np.random.Generator
) -> Iterator[str]:
    """We write a map of real numbers; we and others read it."""
    path = folder / f"map{suffix}"
    write_map(path, truth[0], Geometry.from_affine(truth[1]))
    volume = read_scan(path)
    yield _differences("own reading", (volume.array, volume.geometry.affine), base, truth)
    yield from _others(path, base, truth)


def opened(
    folder: Path, suffix: str, base: Truth, truth: Truth, rng: np.random.Generator
) -> Iterator[str]:
    """Another library writes a scan; we read it."""
    path = folder / f"scan{suffix}"
    if not suffix.startswith(".nii"):
        readers.write_by_simpleitk(path, *truth)
    elif _is_sheared(truth[1]) or rng.random() < 0.5:
        forms = "sform" if _is_sheared(truth[1]) else _FORMS[rng.integers(3)]
        readers.write_by_nibabel(path, *truth, forms)
    else:
        readers.write_by_simpleitk(path, *truth)
    volume = read_scan(path)
    yield _differences("own reading", (volume.array, volume.geometry.affine), base, truth)


def dicom(
    folder: Path, suffix: str, base: Truth, truth: Truth, rng: np.random.Generator
) -> Iterator[str]:
    """A series is read, and a mask drawn on it is saved; all must lie where the slices lie.

    DICOM cannot hold left-handed orders: such a stack comes back with its slices reversed. Nor
    can it hold rows and columns that are not perpendicular: such a stack must be refused.
    """
    series = folder / "series"
    write_series(series, *truth, seed=int(rng.integers(1 << 20)))
    if abs(_cosine(truth[1][:3, 1], truth[1][:3, 2])) > 1e-3:
        yield _not_refused(series)
        return
    stacked = truth
    if not is_right_handed(truth[1]):
        stacked = reordered(*truth, ((0, 1, 2), (True, False, False)))
    volume = read_scan(series)
    yield _differences("own reading", (volume.array, volume.geometry.affine), base, stacked)
    yield _differences("pydicom", readers.series_by_pydicom(series), base, stacked)
    if not _is_sheared(truth[1]):
        yield _differences("SimpleITK", readers.series_by_simpleitk(series), base, stacked)
    path = folder / f"mask{suffix}"
    labels = (volume.array.astype(np.int64) % 5).astype(np.uint8)
    write_mask(path, labels, volume.geometry)
    drawn, drawn_base = (labels, stacked[1]), ((base[0].astype(np.int64) % 5).astype("u1"), base[1])
    yield from _others(path, drawn_base, drawn)
    read_mask(path, like=volume)


def _others(path: Path, base: Truth, truth: Truth) -> Iterator[str]:
    """Read a file of ours by every library that can."""
    if path.name.endswith((".nii", ".nii.gz")):
        yield _differences("nibabel", readers.by_nibabel(path), base, truth)
    if path.suffix == ".nrrd":
        yield _differences("pynrrd", readers.by_pynrrd(path), base, truth)
    # SimpleITK has no sheared grids.
    if not _is_sheared(truth[1]):
        yield _differences("SimpleITK", readers.by_simpleitk(path), base, truth)


def _not_refused(series: Path) -> str:
    try:
        read_scan(series)
    except ScanError as error:
        return "" if "not perpendicular" in str(error) else f"refused for another reason: {error}"
    return "accepted, although its rows and columns are not perpendicular"


def _differences(who: str, reading: Truth, base: Truth, truth: Truth) -> str:
    array, affine = reading
    if array.dtype != truth[0].dtype:
        return f"{who}: type {array.dtype} instead of {truth[0].dtype}"
    if array.shape != truth[0].shape:
        return f"{who}: shape {array.shape} instead of {truth[0].shape}"
    away = np.linalg.norm(corners(affine, array.shape) - corners(truth[1], array.shape), axis=1)
    if not away.max() <= CORNER_TOLERANCE_MM:
        return f"{who}: a corner lies {away.max():.3g} mm away"
    fault = misplaced(array, affine, *base)
    return f"{who}: {fault}" if fault else ""


def _cosine(one: Array, other: Array) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def _is_sheared(affine: Affine) -> bool:
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return bool(np.abs(axes.T @ axes - np.eye(3)).max() > 1e-6)


def _voxels(rng: np.random.Generator, shape: tuple[int, ...], go: Route) -> Array:
    """Return voxels of a type that the route can carry, all of it used."""
    if go is saved_map:
        return rng.normal(size=shape).astype(np.float32)
    types: dict[Route, tuple[str, ...]] = {saved: ("u1", "u2", "u4"), dicom: ("u1", "u2", "i2")}
    choices = types.get(go, ("u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8"))
    kind = np.dtype(choices[rng.integers(len(choices))])
    if kind.kind == "f":
        return rng.normal(size=shape).astype(kind)
    limits = np.iinfo(kind)
    voxels = rng.integers(limits.min, limits.max, shape, dtype=kind, endpoint=True)
    # The highest label decides the type of a mask; 0 and 255 alone would mean class 1.
    voxels.flat[:2] = (limits.max, 7)
    return voxels


ROUTES = (
    ("saved mask", ".nii", saved),
    ("saved mask", ".nii.gz", saved),
    ("saved mask", ".nrrd", saved),
    ("saved mask", ".mha", saved),
    ("saved map", ".nii", saved_map),
    ("saved map", ".nii.gz", saved_map),
    ("saved map", ".nrrd", saved_map),
    ("saved map", ".mha", saved_map),
    ("opened scan", ".nii", opened),
    ("opened scan", ".nii.gz", opened),
    ("opened scan", ".nrrd", opened),
    ("opened scan", ".mha", opened),
    ("opened scan", ".mhd", opened),
    ("DICOM series", ".nii", dicom),
    ("DICOM series", ".nii.gz", dicom),
    ("DICOM series", ".nrrd", dicom),
    ("DICOM series", ".mha", dicom),
)

if __name__ == "__main__":
    sys.exit(main("F5", check, FULL))
