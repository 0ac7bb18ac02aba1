"""TIFF stacks: pages are slices, and a size is believed where it is stated."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from napari_crii.errors import ScanError
from napari_crii.geometry import Geometry
from napari_crii.io import read_mask, read_scan, volume_count, write_map, write_mask


@pytest.fixture
def stack(rng) -> np.ndarray:
    return rng.integers(0, 60000, (5, 13, 17)).astype(np.uint16)


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"metadata": None}])
def test_pages_are_slices_in_pixels(tmp_path, stack, options):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stack, photometric="minisblack", **options)
    volume = read_scan(path)
    np.testing.assert_array_equal(volume.array, stack)
    assert volume.array.dtype == np.uint16
    assert volume.geometry.unit == "px"
    assert any("no size" in r for r in volume.remarks)


def test_pages_of_colour_stay_colour(tmp_path, rng):
    array = rng.integers(0, 255, (4, 13, 17, 3)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="rgb")
    volume = read_scan(tmp_path / "a.tif")
    np.testing.assert_array_equal(volume.array, array)
    with pytest.raises(ScanError, match="in colour"):
        read_mask(tmp_path / "a.tif")


@pytest.mark.parametrize(("unit", "mm"), [("mm", 1.0), ("micron", 1e-3), ("um", 1e-3), ("cm", 10)])
def test_the_size_that_imagej_states_is_kept(tmp_path, stack, unit, mm):
    tifffile.imwrite(
        tmp_path / "a.tif", stack, imagej=True, resolution=(1 / 0.5, 1 / 0.25),
        metadata={"axes": "ZYX", "spacing": 3.0, "unit": unit},
    )  # fmt: skip
    volume = read_scan(tmp_path / "a.tif")
    np.testing.assert_allclose(volume.geometry.spacing, np.array([3.0, 0.25, 0.5]) * mm, rtol=1e-5)
    assert volume.geometry.unit == "mm"
    assert any("orientation unknown" in r for r in volume.remarks)
    np.testing.assert_array_equal(volume.array, stack)


def test_the_size_that_ome_states_is_kept(tmp_path, stack):
    told = {"axes": "ZYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25, "PhysicalSizeZ": 3.0}
    units = {f"PhysicalSize{axis}Unit": "mm" for axis in "XYZ"}
    tifffile.imwrite(tmp_path / "a.ome.tif", stack, metadata=told | units)
    assert read_scan(tmp_path / "a.ome.tif").geometry.spacing == (3.0, 0.25, 0.5)
    tifffile.imwrite(tmp_path / "b.ome.tif", stack, metadata=told)
    np.testing.assert_allclose(
        read_scan(tmp_path / "b.ome.tif").geometry.spacing, (3e-3, 0.25e-3, 0.5e-3)
    )
    del told["PhysicalSizeZ"]
    tifffile.imwrite(tmp_path / "c.ome.tif", stack, metadata=told)
    assert read_scan(tmp_path / "c.ome.tif").geometry.unit == "px"


def test_time_points_of_stacks_are_volumes(tmp_path, rng):
    array = rng.integers(0, 99, (3, 4, 13, 17)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", array, imagej=True, metadata={"axes": "TZYX"})
    assert volume_count(tmp_path / "a.tif") == 3
    with pytest.raises(ScanError, match="holds 3 volumes: choose one with volume index 0 to 2"):
        read_scan(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_scan(tmp_path / "a.tif", 2).array, array[2])


def test_channels_are_not_taken_for_slices(tmp_path, stack):
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, metadata={"axes": "CYX"})
    with pytest.raises(ScanError, match="one channel"):
        read_scan(tmp_path / "a.tif")


def test_pages_of_different_sizes_are_no_scan(tmp_path, stack):
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        tiff.write(stack[0], photometric="minisblack")
        tiff.write(stack[0, :5], photometric="minisblack")
    with pytest.raises(ScanError, match="different sizes"):
        read_scan(tmp_path / "a.tif")


def test_a_cut_stack_is_refused(tmp_path, stack):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stack, photometric="minisblack", metadata=None)
    whole = path.read_bytes()
    for length in range(8, len(whole), 97):
        path.write_bytes(whole[:length])
        with pytest.raises(ScanError, match=r"a\.tif"):
            read_scan(path)


def test_a_mask_of_a_stack_without_size_goes_into_a_stack(tmp_path, rng):
    labels = rng.integers(0, 4, (5, 6, 7)).astype(np.uint8)
    write_mask(tmp_path / "m.tif", labels, Geometry.pixels())
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "m.tif"), labels)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.tif")[0], labels)
    values = rng.normal(size=(5, 6, 7)).astype(np.float32)
    write_map(tmp_path / "v.tif", values, Geometry.pixels())
    np.testing.assert_array_equal(read_scan(tmp_path / "v.tif").array, values)


def test_pages_that_only_the_first_describes_are_not_lost(tmp_path, stack):
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack", truncate=True)
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert len(tiff.pages) == 1
    np.testing.assert_array_equal(read_scan(tmp_path / "a.tif").array, stack)


def with_tag_of_type(path, tag: int, kind: int) -> None:
    """Change the type of a tag of the first page (classic TIFF, little-endian)."""
    content = bytearray(path.read_bytes())
    start = int.from_bytes(content[4:8], "little")
    for place in range(start + 2, start + 2 + 12 * content[start], 12):
        if int.from_bytes(content[place : place + 2], "little") == tag:
            content[place + 2 : place + 4] = kind.to_bytes(2, "little")
    path.write_bytes(content)


@pytest.mark.parametrize("kind", [0, 1, 2, 5, 7, 12, 99])
@pytest.mark.parametrize(("tag", "name"), [(256, "ImageWidth"), (258, "BitsPerSample"), (277, "S")])
@pytest.mark.parametrize("pages", [1, 3])
def test_a_tag_of_the_wrong_type_is_named(tmp_path, stack, pages, tag, name, kind):
    tifffile.imwrite(tmp_path / "a.tif", stack[:pages], photometric="minisblack")
    with_tag_of_type(tmp_path / "a.tif", tag, kind)
    rule = rf"a\.tif is damaged: its tag {name}\w* has type {kind}, which holds no whole numbers$"
    with pytest.raises(ScanError, match=rule):
        read_scan(tmp_path / "a.tif")


@pytest.mark.parametrize("big", [True, False])
@pytest.mark.parametrize("order", ["<", ">"])
def test_tiffs_of_either_size_and_byte_order_are_read(tmp_path, stack, big, order):
    for pages in (stack, stack[0]):
        path = tmp_path / "a.tif"
        tifffile.imwrite(path, pages, photometric="minisblack", bigtiff=big, byteorder=order)
        np.testing.assert_array_equal(read_scan(path).array.squeeze(), pages)


def test_a_tiff_without_a_size_is_refused(tmp_path, stack):
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack")
    content = (tmp_path / "a.tif").read_bytes()
    start = int.from_bytes(content[4:8], "little") + 2
    # The first tag is the width; another number in its place leaves none.
    (tmp_path / "a.tif").write_bytes(content[:start] + b"\xff\x00" + content[start + 2 :])
    with pytest.raises(ScanError, match=r"a\.tif does not tell its size: it has no tag ImageWidth"):
        read_scan(tmp_path / "a.tif")
