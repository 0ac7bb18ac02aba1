"""The phantom is what its docstring says, and hard where it should be."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_crii.io import read_mask, write_mask
from napari_crii.phantom import PHANTOM_CLASSES, make_phantom


def test_a_seed_gives_the_same_scan_and_another_seed_another():
    (one, mask), (same, same_mask), (other, other_mask) = (make_phantom(seed=s) for s in (1, 1, 2))
    assert one.digest == same.digest
    np.testing.assert_array_equal(mask, same_mask)
    assert one.digest != other.digest
    assert (mask != other_mask).any()


def test_it_is_anisotropic_oblique_right_handed_and_not_square():
    volume, mask = make_phantom()
    geometry = volume.geometry
    assert volume.array.dtype == np.int16
    assert mask.shape == volume.shape == (24, 96, 112)
    assert len(set(np.round(geometry.spacing, 3))) == len(set(volume.shape)) == 3
    assert geometry.is_oblique
    assert not geometry.is_sheared
    assert np.linalg.det(geometry.affine[:3, :3][:, ::-1]) > 0
    assert volume.slice_axis == 0


@pytest.mark.parametrize("seed", range(4))
def test_every_class_is_there_and_lesions_lie_inside_the_organ(seed):
    _, mask = make_phantom(seed=seed)
    assert set(np.unique(mask)) == {0, *PHANTOM_CLASSES}
    filled = ndimage.binary_fill_holes(mask > 0)
    np.testing.assert_array_equal(filled, mask > 0)
    assert ndimage.label(mask > 0)[1] == 1
    assert 2 <= ndimage.label(mask == 2)[1] <= 3
    assert not mask[[0, -1]].any()


def test_one_lesion_is_obvious_and_another_is_nearly_lost_in_the_noise():
    volume, mask = make_phantom()
    organ = volume.array[ndimage.binary_erosion(mask == 1, iterations=3)]
    lesions, count = ndimage.label(mask == 2)
    cores = [ndimage.binary_erosion(lesions == i + 1) for i in range(count)]
    contrasts = sorted(abs(volume.array[core].mean() - organ.mean()) for core in cores)
    assert contrasts[-1] > 4 * organ.std()
    assert contrasts[0] < 2 * organ.std()


def test_borders_are_blurred():
    volume, mask = make_phantom()
    inside = volume.array[ndimage.binary_erosion(mask > 0, iterations=4)].mean()
    outside = volume.array[~ndimage.binary_dilation(mask > 0, iterations=4)].mean()
    edge = volume.array[(mask > 0) & ~ndimage.binary_erosion(mask > 0)].mean()
    assert outside + 0.2 * (inside - outside) < edge < outside + 0.8 * (inside - outside)


def test_its_mask_survives_a_file_on_its_own_grid(tmp_path):
    volume, mask = make_phantom((8, 40, 48))
    write_mask(tmp_path / "m.nii.gz", mask, volume.geometry)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.nii.gz", like=volume)[0], mask)


def test_shapes_too_small_for_its_lesions_are_refused():
    with pytest.raises(ValueError, match="at least"):
        make_phantom((4, 32, 32))
    assert set(np.unique(make_phantom((6, 32, 32))[1])) == {0, 1, 2}
