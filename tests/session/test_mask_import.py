"""A mask from a file: on the scan's grid or brought to it, its labels classes or made so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from napari_crii.errors import GeometryError, ScanError
from napari_crii.geometry import Geometry
from napari_crii.io import write_mask
from napari_crii.session.mask_import import (
    MaskFile,
    fits_classes,
    named,
    read_mask_file,
    resampled,
    slices_of,
    with_labels_as_one,
)
from napari_crii.volume import Volume
from tests.conftest import make_oblique


def test_a_mask_on_the_scans_grid_is_taken_as_it_is(tmp_path: Path, scan: Volume, labels) -> None:
    write_mask(tmp_path / "m.nii.gz", labels, scan.geometry)
    mask = read_mask_file(tmp_path / "m.nii.gz", scan)
    assert not mask.mismatch
    assert np.array_equal(mask.labels, labels)
    assert mask.values == (1, 2, 3)


def by_simpleitk(mask: MaskFile, scan: Volume) -> np.ndarray:
    """Resample with another library."""

    def image(array: np.ndarray, grid: Geometry) -> sitk.Image:
        made = sitk.GetImageFromArray(array)
        made.SetSpacing(grid.spacing[::-1])
        made.SetOrigin(grid.origin)
        made.SetDirection(np.array(grid.direction[::-1]).T.ravel().tolist())
        return made

    target = image(np.zeros(scan.shape, dtype=np.uint8), scan.geometry)
    moved = sitk.Resample(
        image(mask.labels, mask.grid), target, sitk.Transform(), sitk.sitkNearestNeighbor, 0
    )
    return sitk.GetArrayFromImage(moved)


@pytest.mark.parametrize("shift", [(0.0, 0.0, 0.0), (3.1, -1.3, 2.2)])
def test_another_grid_is_resampled_as_simpleitk_does(
    tmp_path: Path, scan: Volume, rng: np.random.Generator, shift: tuple[float, float, float]
) -> None:
    origin = np.array(make_oblique().origin) + shift
    grid = Geometry((2.0, 1.1, 0.9), (origin[0], origin[1], origin[2]))
    labels = rng.integers(0, 4, (11, 12, 13)).astype(np.uint8)
    write_mask(tmp_path / "m.nii.gz", labels, grid)
    mask = read_mask_file(tmp_path / "m.nii.gz", scan)
    assert "voxels" in mask.mismatch
    result = resampled(mask, scan)
    expected = by_simpleitk(mask, scan)
    assert expected.any()
    assert result.grid == scan.geometry
    # On the very rim of the grid the two may differ in which voxel centres count as inside.
    assert (result.labels != expected).mean() < 0.01


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1)])
def test_the_same_voxels_in_another_order_come_back_exactly(
    scan: Volume, labels: np.ndarray, axes: tuple[int, int, int]
) -> None:
    grid = scan.geometry.transposed(axes).flipped(1, labels.transpose(axes).shape)
    stored = np.flip(labels.transpose(axes), 1)
    assert np.array_equal(resampled(MaskFile("m", stored, grid), scan).labels, labels)


def test_a_mask_that_lies_elsewhere_is_refused(scan: Volume) -> None:
    far = Geometry(origin=(5000.0, 0.0, 0.0))
    with pytest.raises(GeometryError, match="lies elsewhere"):
        resampled(MaskFile("m.nii.gz", np.ones((3, 3, 3), dtype=np.uint8), far), scan)


def test_an_image_of_another_size_cannot_be_resampled(tmp_path: Path, scan: Volume) -> None:
    Image.fromarray(np.zeros((8, 8), dtype=np.uint8)).save(tmp_path / "m.png")
    with pytest.raises(GeometryError, match="voxels"):
        read_mask_file(tmp_path / "m.png", scan)


def test_only_slices_that_hold_a_label_are_entered(labels: np.ndarray) -> None:
    image = Volume(np.zeros((4, 3, 5), dtype=np.int16), Geometry((1.0, 1.0, 6.0)))
    drawn = np.zeros((4, 3, 5), dtype=np.uint8)
    drawn[1, 2, 3] = 2
    slices = slices_of(MaskFile("m", drawn, image.geometry), image, 3)
    assert list(slices) == [3]
    assert np.array_equal(slices[3], drawn[:, :, 3])
    with pytest.raises(ScanError, match="is empty"):
        slices_of(MaskFile("m", drawn * 0, image.geometry), image, 3)
    with pytest.raises(ScanError, match="m holds label 2, but classes end at 1"):
        slices_of(MaskFile("m", drawn, image.geometry), image, 2)


def test_instances_become_one_class(labels: np.ndarray) -> None:
    mask = MaskFile("m", labels, Geometry())
    assert not fits_classes(mask, 2)
    assert np.array_equal(with_labels_as_one(mask, mask.values).labels, labels > 0)
    only = with_labels_as_one(mask, {2})
    assert np.array_equal(only.labels, labels == 2)
    assert fits_classes(only, 2)


def test_many_labels_are_not_all_listed() -> None:
    assert named((3,)) == "label 3"
    assert named(range(1, 31)) == "labels 1, 2, 3, 4, 5, 6, 7, 8 and 22 more"
