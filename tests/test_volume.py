"""A scan knows its slices, its intensities, and whether it is the same scan."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_crii.errors import GeometryError
from napari_crii.geometry import Geometry
from napari_crii.volume import IntensityStats, Volume, from_slices, neighbourhood, to_slices


@pytest.mark.parametrize("shape", [(4, 4), (2, 3, 4, 4), (2, 3, 4, 1), (0, 3, 4), (2,)])
def test_arrays_that_are_no_scan_are_refused(shape):
    with pytest.raises(GeometryError, match="no scan"):
        Volume(np.zeros(shape))


def test_colour_is_told_from_grey():
    assert Volume(np.zeros((2, 3, 4))).channels == 1
    colour = Volume(np.zeros((2, 3, 4, 3)))
    assert (colour.channels, colour.shape) == (3, (2, 3, 4))


@given(st.integers(0, 2), st.booleans())
def test_slices_and_back_is_the_same_array_in_the_same_memory(axis, colour):
    array = np.arange(2 * 3 * 4 * 3).reshape(2, 3, 4, 3)
    array = array if colour else array[..., 0]
    sliced = to_slices(array, axis)
    assert sliced.shape[0] == array.shape[axis]
    assert np.shares_memory(sliced, array)
    np.testing.assert_array_equal(from_slices(sliced, axis), array)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_follow_the_thickest_axis_and_bring_their_spacing(axis):
    spacing = [0.7, 1.3, 1.1]
    spacing[axis] = 5.0
    volume = Volume(np.zeros((2, 3, 4)), Geometry(tuple(spacing)))
    in_plane = [s for i, s in enumerate(spacing) if i != axis]
    assert volume.slice_axis == axis
    assert volume.slice_count == (2, 3, 4)[axis] == volume.slices().shape[0]
    assert volume.slice_spacing == (5.0, *in_plane)


def test_an_image_is_one_slice_whatever_its_shape():
    volume = Volume(np.zeros((1, 30, 20)), Geometry.pixels())
    assert volume.is_image
    assert (volume.slice_axis, volume.slice_count) == (0, 1)


def test_the_digest_tells_voxels_type_shape_and_grid_apart(scan):
    changed = scan.array.copy()
    changed[1, 2, 3] += 1
    variants = [
        scan,
        replace(scan, array=changed),
        replace(scan, array=scan.array.astype(np.int32)),
        replace(scan, array=scan.array.reshape(7, 5, 9)),
        replace(scan, geometry=Geometry()),
    ]
    assert len({v.digest for v in variants}) == len(variants)


def test_the_digest_depends_neither_on_the_name_nor_on_memory_order(scan):
    other = replace(scan, array=np.asfortranarray(scan.array), name="other")
    assert other.digest == scan.digest


def test_intensity_ignores_rare_outliers(rng):
    values = rng.normal(100, 10, 50_000)
    clean = IntensityStats.of(values)
    values[:50] = 1e9
    spoiled = IntensityStats.of(values)
    assert spoiled.mean == pytest.approx(clean.mean, rel=0.01)
    assert spoiled.std == pytest.approx(clean.std, rel=0.05)
    assert clean.low < 80 < 120 < clean.high


def test_intensity_of_a_large_scan_is_close_to_that_of_all_its_voxels(rng):
    values = rng.normal(0, 5, (3, 1000, 1000))
    stats = IntensityStats.of(values)
    assert stats.low == pytest.approx(np.percentile(values, 0.5), abs=0.1)
    assert stats.high == pytest.approx(np.percentile(values, 99.5), abs=0.1)


def test_a_constant_scan_has_no_spread():
    stats = Volume(np.full((2, 3, 4), 7, np.uint16)).intensity
    assert (stats.low, stats.high, stats.mean, stats.std) == (7, 7, 7, 0)


def test_an_image_without_size_has_no_pixel_spacing():
    assert Volume(np.zeros((1, 3, 4)), Geometry.pixels()).pixel_spacing is None
    assert Volume(np.zeros((2, 3, 4)), Geometry((5.0, 0.7, 1.3))).pixel_spacing == (0.7, 1.3)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_neighbours_are_channels_and_the_outermost_slice_repeats(scan, axis):
    spacing = tuple(5.0 if i == axis else 1.0 for i in range(3))
    volume = replace(scan, geometry=Geometry(spacing))
    slices = np.moveaxis(scan.array, axis, 0)
    np.testing.assert_array_equal(neighbourhood(volume, 0, 1), slices[[0, 0, 1]])
    np.testing.assert_array_equal(neighbourhood(volume, 2, 2), slices[[0, 1, 2, 3, 4]])
    np.testing.assert_array_equal(neighbourhood(volume, 4, 0), slices[[4]])


def test_neighbours_of_a_colour_slice_bring_three_channels_each(rng):
    array = rng.integers(0, 255, (3, 4, 5, 3))
    channels = neighbourhood(Volume(array), 1, 1)
    assert channels.shape == (9, 4, 5)
    np.testing.assert_array_equal(channels[3:6], np.moveaxis(array[1], -1, 0))
