"""NRRD, MetaImage and GIPL: the same voxels in the same place as SimpleITK, or a refusal."""

from __future__ import annotations

import gzip
import itertools
import zlib

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_crii.errors import ScanError
from napari_crii.geometry import Geometry
from napari_crii.io import is_scan, read_mask, read_scan, volume_count
from tests.io.files import refusal
from tests.io.raw_files import DIRECTIONS, itk_geometry, itk_image, mha, nrrd

SUFFIXES = [".nrrd", ".nhdr", ".mha", ".mhd"]


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_simpleitk_writes_is_read_alike(tmp_path, scan, suffix, packed):
    path = tmp_path / f"a{suffix}"
    sitk.WriteImage(itk_image(scan.array, scan.geometry), str(path), packed)
    assert is_scan(path)
    volume = read_scan(path)
    np.testing.assert_array_equal(volume.array, scan.array)
    assert volume.array.dtype == scan.array.dtype
    assert volume.geometry.coincides(scan.geometry, scan.shape)
    assert volume.geometry.coincides(itk_geometry(path), scan.shape)
    assert (volume.name, volume.remarks) == ("a", ())


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"])
def test_every_type_of_number_is_kept(tmp_path, oblique, rng, suffix, dtype):
    array = rng.integers(0, 100, (3, 4, 5)).astype(dtype)
    sitk.WriteImage(itk_image(array, oblique), str(tmp_path / f"a{suffix}"))
    volume = read_scan(tmp_path / f"a{suffix}")
    assert volume.array.dtype == dtype
    np.testing.assert_array_equal(volume.array, array)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_all_permutations_and_flips_of_axes_lie_where_simpleitk_puts_them(tmp_path, scan, suffix):
    for number, (order, signs) in enumerate(
        itertools.product(itertools.permutations(range(3)), itertools.product((1, -1), repeat=3))
    ):
        geometry = scan.geometry.transposed(order)
        shape = tuple(scan.shape[axis] for axis in order)
        for axis, sign in enumerate(signs):
            geometry = geometry.flipped(axis, shape) if sign < 0 else geometry
        path = tmp_path / f"{number}{suffix}"
        array = scan.array.transpose(order)[tuple(slice(None, None, s) for s in signs)]
        sitk.WriteImage(itk_image(np.ascontiguousarray(array), geometry), str(path))
        volume = read_scan(path)
        np.testing.assert_array_equal(volume.array, array)
        assert volume.geometry.coincides(geometry, shape)
        assert volume.geometry.coincides(itk_geometry(path), shape)


@pytest.mark.parametrize("suffix", [".gipl", ".gipl.gz"])
def test_gipl_is_read_as_simpleitk_reads_it(tmp_path, scan, suffix):
    path = tmp_path / f"a{suffix}"
    straight = Geometry(scan.geometry.spacing, (-3.0, 4.5, 7.0))
    sitk.WriteImage(itk_image(scan.array, straight), str(path))
    assert is_scan(path)
    volume = read_scan(path)
    np.testing.assert_array_equal(volume.array, scan.array)
    assert volume.geometry.coincides(itk_geometry(path), volume.shape)
    assert any("orientation unknown" in r for r in volume.remarks)
    assert volume.name == "a"


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_colours_are_kept(tmp_path, oblique, rng, suffix):
    array = rng.integers(0, 255, (3, 4, 5, 3)).astype(np.uint8)
    sitk.WriteImage(itk_image(array, oblique, vector=True), str(tmp_path / f"a{suffix}"))
    volume = read_scan(tmp_path / f"a{suffix}")
    assert volume.channels == 3
    np.testing.assert_array_equal(volume.array, array)
    assert volume.geometry.coincides(oblique, volume.shape)
    with pytest.raises(ScanError, match="in colour"):
        read_mask(tmp_path / f"a{suffix}")


def test_vectors_that_are_no_colours_are_not_taken_for_them(tmp_path, oblique, rng):
    array = rng.normal(size=(3, 4, 5, 2)).astype(np.float32)
    sitk.WriteImage(itk_image(array, oblique, vector=True), str(tmp_path / "a.mha"))
    assert "2 numbers per voxel" in refusal(tmp_path / "a.mha")
    sitk.WriteImage(itk_image(array, oblique, vector=True), str(tmp_path / "a.nrrd"))
    assert "holds 2 volumes" in refusal(tmp_path / "a.nrrd")
    np.testing.assert_array_equal(read_scan(tmp_path / "a.nrrd", 1).array, array[..., 1])


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".mhd"])
def test_a_4d_file_names_its_volumes_and_gives_each(tmp_path, scan, suffix, packed):
    stacks = [scan.array, scan.array + 1, scan.array - 7]
    path = tmp_path / f"a{suffix}"
    sitk.WriteImage(
        sitk.JoinSeries([itk_image(s, scan.geometry) for s in stacks]), str(path), packed
    )
    assert volume_count(path) == 3
    assert refusal(path).endswith("holds 3 volumes: choose one with volume index 0 to 2")
    for index, stack in enumerate(stacks):
        volume = read_scan(path, volume_index=index)
        np.testing.assert_array_equal(volume.array, stack)
        assert volume.geometry.coincides(scan.geometry, scan.shape)
        assert f"volume {index} of volumes 0 to 2" in volume.remarks
    for wrong in (3, -1):
        with pytest.raises(ScanError, match=f"index 0 to 2, not {wrong}"):
            read_scan(path, volume_index=wrong)


def test_a_flat_image_is_one_slice_with_its_pixel_size(tmp_path, rng):
    array = rng.integers(0, 99, (6, 8)).astype(np.int16)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((0.5, 0.25))
    for suffix in (".nrrd", ".mha"):
        sitk.WriteImage(image, str(tmp_path / f"a{suffix}"))
        volume = read_scan(tmp_path / f"a{suffix}")
        assert volume.geometry.spacing == (1.0, 0.25, 0.5)
        np.testing.assert_array_equal(volume.array[0], array)
        assert any("thickness is unknown" in r for r in volume.remarks)


WAYS_OUT = ["/etc/passwd", "../secret.raw", "sub/secret.raw", "..", "", "..\\secret.raw"]


@pytest.mark.parametrize("name", WAYS_OUT)
@pytest.mark.parametrize("suffix", [".mhd", ".nhdr"])
def test_a_detached_header_reads_nothing_outside_its_folder(tmp_path, scan, suffix, name):
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    for secret in (tmp_path, folder / "sub"):
        (secret / "secret.raw").write_bytes(scan.array.tobytes())
    path = folder / f"a{suffix}"
    if suffix == ".mhd":
        mha(path, scan.array, data=name)
    else:
        nrrd(path, scan.array[:0], f"data file: {name}", f"sizes: {'9 7 5'}")
    message = refusal(path)
    assert "own folder" in message or "names no data file" in message


@pytest.mark.parametrize("suffix", [".mhd", ".nhdr"])
def test_a_link_out_of_the_folder_is_not_followed(tmp_path, scan, suffix):
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "secret.raw").write_bytes(scan.array.tobytes())
    try:
        (folder / "a.raw").symlink_to(tmp_path / "secret.raw")
    except OSError:
        pytest.skip("this system does not let tests create links")
    path = folder / f"a{suffix}"
    if suffix == ".mhd":
        mha(path, scan.array, data="a.raw")
    else:
        nrrd(path, scan.array[:0], "data file: a.raw", "sizes: 9 7 5")
    assert "a link out of the folder" in refusal(path)


@pytest.mark.parametrize("suffix", [".mhd", ".nhdr"])
def test_a_missing_data_file_is_named(tmp_path, scan, suffix):
    path = tmp_path / f"a{suffix}"
    sitk.WriteImage(itk_image(scan.array, scan.geometry), str(path))
    next(p for p in tmp_path.iterdir() if p.suffix in (".raw", ".zraw", ".gz")).unlink()
    assert "which is not in its folder" in refusal(path)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".gipl", ".gipl.gz"])
@pytest.mark.parametrize("packed", [True, False])
def test_a_cut_file_is_refused_wherever_it_is_cut(tmp_path, scan, suffix, packed):
    whole = tmp_path / f"whole{suffix}"
    sitk.WriteImage(itk_image(scan.array, Geometry()), str(whole), packed)
    content = whole.read_bytes()
    path = tmp_path / f"cut{suffix}"
    for length in range(1, len(content), 11):
        path.write_bytes(content[:length])
        refusal(path)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_a_flipped_bit_in_packed_voxels_is_noticed(tmp_path, scan, suffix):
    path = tmp_path / f"a{suffix}"
    raw = scan.array.tobytes()
    # Stored blocks: the flip leaves a valid stream, and only the checksum can tell.
    if suffix == ".mha":
        mha(path, scan.array, CompressedData=True)
        content = zlib.compress(raw, 0)
        path.write_bytes(path.read_bytes()[: -len(raw)] + content)
    else:
        nrrd(path, scan.array, DIRECTIONS, encoding="gzip")
        head = path.read_bytes().partition(b"\n\n")[0]
        path.write_bytes(head + b"\n\n" + gzip.compress(raw, 0))
    np.testing.assert_array_equal(read_scan(path).array, scan.array)
    damaged = bytearray(path.read_bytes())
    damaged[-30] ^= 1
    path.write_bytes(damaged)
    assert "checksum" in refusal(path)


def test_nan_is_mended_in_a_scan_and_refused_in_a_mask(tmp_path, oblique):
    array = np.ones((2, 3, 4), np.float32)
    array[0, 0, 0] = np.nan
    sitk.WriteImage(itk_image(array, oblique), str(tmp_path / "a.nrrd"))
    assert any("NaN" in r for r in read_scan(tmp_path / "a.nrrd").remarks)
    with pytest.raises(ScanError, match="not NaN"):
        read_mask(tmp_path / "a.nrrd")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_random_headers_are_read_or_refused_in_one_sentence(tmp_path, data):
    suffix = data.draw(st.sampled_from([".nrrd", ".mha"]))
    path = tmp_path / f"x{suffix}"
    array = np.zeros((2, 3, 4), np.int16)
    whole = (nrrd if suffix == ".nrrd" else mha)(path, array).read_bytes()
    content = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    sentence = path.name
    try:
        assert read_scan(path).array.size > 0
    except ScanError as error:
        sentence = str(error)
    assert path.name in sentence
    assert len(sentence.splitlines()) == 1
