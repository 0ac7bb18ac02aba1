"""A generated scan with a known truth, for demonstration and tests: no patient, no download."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_crii.geometry import Geometry
from napari_crii.volume import Volume

PHANTOM_CLASSES = {1: "organ", 2: "lesion"}

_SPACING = (3.0, 0.9, 1.1)
_SMALLEST_SHAPE = (6, 32, 32)
_BACKGROUND, _ORGAN = 120.0, 420.0
# Added to the organ; the second lesion is faint against the noise, the third nearly lost in it.
_LESION_CONTRAST = (-190.0, 70.0, -45.0)
_LESION_CENTRES = ((0.50, 0.40, 0.38), (0.42, 0.58, 0.60), (0.62, 0.45, 0.62))
_LESION_RADII = ((0.16, 0.10, 0.09), (0.14, 0.09, 0.11), (0.13, 0.08, 0.07))
_BLUR_MM = 1.6
_BIAS = 0.15
_NOISE = 22.0

Array = NDArray[np.float64]


def make_phantom(
    shape: tuple[int, int, int] = (24, 96, 112), seed: int = 0
) -> tuple[Volume, NDArray[np.uint8]]:
    """Generate an MR-like scan of an organ with three lesions, and its true mask.

    The grid is anisotropic along all three axes (3.0 x 0.9 x 1.1 mm), oblique, and not square,
    so that swapped axes cannot hide. The organ's border is blurred by the resolution; lesion
    contrasts are 9, 3 and 2 times the noise. A smooth bias field multiplies the scan.

    Parameters
    ----------
    shape
        (Z, Y, X), at least (6, 32, 32).
    seed
        The same seed gives the same scan, voxel for voxel.

    Returns
    -------
    volume
        (Z, Y, X) int16.
    mask
        (Z, Y, X) uint8: 0 background, 1 organ, 2 lesion (inside the organ); see
        `PHANTOM_CLASSES`.

    Raises
    ------
    ValueError
        If `shape` is too small to hold the lesions.
    """
    if any(size < least for size, least in zip(shape, _SMALLEST_SHAPE, strict=True)):
        raise ValueError(f"a phantom needs at least {_SMALLEST_SHAPE} voxels, not {shape}")
    rng = np.random.default_rng(seed)
    grid = _unit_grid(shape)
    organ = _organ(grid, rng)
    lesions = [organ & _ellipsoid(grid, c, r) for c, r in _lesions(rng)]
    mask = np.where(organ, 1, 0).astype(np.uint8)
    values = np.where(organ, _ORGAN, _BACKGROUND)
    for lesion, contrast in zip(lesions, _LESION_CONTRAST, strict=True):
        mask[lesion] = 2
        values[lesion] = _ORGAN + contrast
    blurred = ndimage.gaussian_filter(values, [_BLUR_MM / s for s in _SPACING])
    noisy = blurred * _bias_field(grid, rng) + rng.normal(0.0, _NOISE, shape)
    array = np.clip(np.rint(noisy), 0, None).astype(np.int16)
    remark = "generated: not a patient"
    return Volume(array, _oblique_geometry(shape), "phantom", (remark,)), mask


def _unit_grid(shape: tuple[int, int, int]) -> Array:
    """Return (3, Z, Y, X) coordinates of voxel centres, 0 to 1 along each axis."""
    sizes = np.array(shape, dtype=np.float64).reshape(3, 1, 1, 1)
    return np.asarray((np.indices(shape) + 0.5) / sizes)


def _ellipsoid(grid: Array, centre: Array, radii: Array) -> NDArray[np.bool_]:
    offsets = (grid - centre.reshape(3, 1, 1, 1)) / radii.reshape(3, 1, 1, 1)
    return np.asarray((offsets**2).sum(axis=0) < 1.0)


def _organ(grid: Array, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return a large and a smaller ellipsoid, merged into a shape without symmetry."""
    sway = rng.uniform(-0.02, 0.02, 3)
    body = _ellipsoid(grid, np.array([0.52, 0.50, 0.46]) + sway, np.array([0.40, 0.30, 0.28]))
    lobe = _ellipsoid(grid, np.array([0.48, 0.52, 0.68]) + sway, np.array([0.30, 0.18, 0.20]))
    return body | lobe


def _lesions(rng: np.random.Generator) -> list[tuple[Array, Array]]:
    """Return centre and radii of each lesion, moved a little by chance."""
    return [
        (np.array(centre) + rng.uniform(-0.02, 0.02, 3), np.array(radii))
        for centre, radii in zip(_LESION_CENTRES, _LESION_RADII, strict=True)
    ]


def _bias_field(grid: Array, rng: np.random.Generator) -> Array:
    """Return a smooth factor around 1, as a surface coil leaves it."""
    slopes, phase = rng.uniform(-1.0, 1.0, 3), rng.uniform(0.0, np.pi)
    wave = np.tensordot(slopes, grid - 0.5, axes=1)
    return np.asarray(1.0 + _BIAS * np.sin(2.0 * wave + phase) * 0.7 + _BIAS * wave * 0.3)


def _oblique_geometry(shape: tuple[int, int, int]) -> Geometry:
    """Return a right-handed grid turned about two axes, centred on the LPS origin."""
    a, b = np.radians(17.0), np.radians(-9.0)
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    columns = (about_z @ about_x)[:, ::-1] * np.array(_SPACING)
    affine = np.eye(4)
    affine[:3, :3] = columns
    affine[:3, 3] = -columns @ ((np.array(shape) - 1) / 2)
    return Geometry.from_affine(affine)
