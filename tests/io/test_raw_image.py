"""NRRD, MetaImage and GIPL: the same voxels in the same place as SimpleITK, or a refusal."""

from __future__ import annotations

import gzip
import itertools
import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_crii.errors import ScanError
from napari_crii.geometry import Geometry
from napari_crii.io import is_scan, read_mask, read_scan, volume_count

SUFFIXES = [".nrrd", ".nhdr", ".mha", ".mhd"]


def itk_image(array: np.ndarray, geometry: Geometry, vector: bool = False) -> sitk.Image:
    image = sitk.GetImageFromArray(array, isVector=vector)
    if image.GetDimension() == 3:
        image.SetSpacing(geometry.spacing[::-1])
        image.SetOrigin(geometry.origin)
        image.SetDirection(np.array(geometry.direction)[::-1].T.ravel())
    return image


def itk_geometry(path: Path) -> Geometry:
    image = sitk.ReadImage(str(path))
    affine = np.eye(4)
    affine[:3, :3] = (np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing())[:, ::-1]
    affine[:3, 3] = image.GetOrigin()
    return Geometry.from_affine(affine)


def refusal(path: Path) -> str:
    with pytest.raises(ScanError) as caught:
        read_scan(path)
    assert path.name in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


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


def nrrd(path: Path, array: np.ndarray, *lines: str, encoding: str = "raw") -> Path:
    """Write a NRRD by hand; `array` has the slowest axis first."""
    kinds = {"u1": "uchar", "i2": "short", "u2": "ushort", "f4": "float"}
    head = [
        "NRRD0005",
        "# made by hand",
        f"type: {kinds[array.dtype.str[1:]]}",
        f"dimension: {array.ndim}",
        "sizes: " + " ".join(str(n) for n in array.shape[::-1]),
        f"encoding: {encoding}",
        *lines,
    ]
    if not any("endian" in line for line in lines):
        head.append("endian: little")
    content = array.tobytes() if encoding == "raw" else gzip.compress(array.tobytes())
    path.write_bytes("\n".join(head).encode() + b"\n\n" + content)
    return path


DIRECTIONS = "space directions: (0,2,0) (-3,0,0) (0,0,4)"
ORIGIN = "space origin: (10,20,30)"


@pytest.mark.parametrize(
    ("space", "signs"),
    [
        ("left-posterior-superior", (1, 1, 1)),
        ("LPS", (1, 1, 1)),
        ("right-anterior-superior", (-1, -1, 1)),
        ("RAS", (-1, -1, 1)),
        ("left-anterior-superior", (1, -1, 1)),
        ("LAS", (1, -1, 1)),
    ],
)
def test_spaces_are_turned_to_lps_as_simpleitk_turns_them(tmp_path, scan, space, signs):
    path = nrrd(tmp_path / "a.nrrd", scan.array, f"space: {space}", DIRECTIONS, ORIGIN)
    volume = read_scan(path)
    matrix = np.diag([*signs, 1.0]) @ np.array(
        [[0, -3, 0, 10], [2, 0, 0, 20], [0, 0, 4, 30], [0, 0, 0, 1.0]]
    )
    expected = Geometry.from_affine(matrix[:, [2, 1, 0, 3]])
    assert volume.geometry.coincides(expected, volume.shape)
    assert volume.geometry.coincides(itk_geometry(path), volume.shape)
    assert volume.remarks == ()
    np.testing.assert_array_equal(volume.array, scan.array)


def test_a_space_without_a_name_is_taken_as_lps_and_told(tmp_path, scan):
    path = nrrd(tmp_path / "a.nrrd", scan.array, "space dimension: 3", DIRECTIONS, ORIGIN)
    volume = read_scan(path)
    assert volume.geometry.coincides(itk_geometry(path), volume.shape)
    assert any("orientation unknown" in r for r in volume.remarks)


def test_spacings_alone_tell_size_but_no_orientation(tmp_path, scan):
    volume = read_scan(nrrd(tmp_path / "a.nrrd", scan.array, "spacings: 1.5 2.5 3.5"))
    assert volume.geometry.spacing == (3.5, 2.5, 1.5)
    assert any("orientation unknown" in r for r in volume.remarks)
    bare = read_scan(nrrd(tmp_path / "b.nrrd", scan.array))
    assert bare.geometry.unit == "px"


def test_a_sheared_nrrd_keeps_its_shear(tmp_path, scan):
    sheared = "space directions: (2,0,0) (0,3,0) (0,1,4)"
    volume = read_scan(nrrd(tmp_path / "a.nrrd", scan.array, "space: LPS", sheared, ORIGIN))
    assert volume.geometry.is_sheared
    corner = volume.geometry.corners(volume.shape)[-1]
    np.testing.assert_allclose(corner, (10 + 2 * 8, 20 + 3 * 6 + 1 * 4, 30 + 4 * 4))


@pytest.mark.parametrize("encoding", ["raw", "gzip"])
def test_a_list_that_varies_fastest_is_volumes_voxel_by_voxel(tmp_path, rng, encoding):
    array = rng.integers(0, 999, (4, 5, 6, 7)).astype(np.int16)
    path = nrrd(
        tmp_path / "a.nrrd", array, "space: LPS", "kinds: list domain domain domain",
        f"{DIRECTIONS.replace(': ', ': none ')}", ORIGIN, encoding=encoding,
    )  # fmt: skip
    assert volume_count(path) == 7
    np.testing.assert_array_equal(read_scan(path, 5).array, array[..., 5])
    assert read_scan(path, 5).array.flags["C_CONTIGUOUS"]


def test_alpha_is_dropped_and_this_is_told(tmp_path, rng):
    array = rng.integers(0, 255, (3, 4, 5, 4)).astype(np.uint8)
    path = nrrd(tmp_path / "a.nrrd", array, "kinds: RGBA-color domain domain domain")
    volume = read_scan(path)
    np.testing.assert_array_equal(volume.array, array[..., :3])
    assert any("transparency" in r for r in volume.remarks)


def test_big_endian_is_turned(tmp_path, scan):
    swapped = scan.array.astype(">i2")
    path = nrrd(tmp_path / "a.nrrd", swapped, "space: LPS", DIRECTIONS, "endian: big")
    np.testing.assert_array_equal(read_scan(path).array, scan.array)


def test_key_value_pairs_of_a_patient_are_not_kept(tmp_path, scan):
    path = nrrd(tmp_path / "a.nrrd", scan.array, "0010|0010:=CANARY^NAME", DIRECTIONS)
    volume = read_scan(path)
    assert "CANARY" not in repr((volume.name, volume.remarks, volume.geometry))


@pytest.mark.parametrize(
    ("lines", "rule"),
    [
        (["encoding: hex"], "encoding 'hex'"),
        (["type: block"], "type 'block'"),
        (["endian: middle"], "byte order"),
        (["sizes: 9 7"], "2 sizes for 3 dimensions"),
        (["sizes: 9 7 0"], "without voxels"),
        (["sizes: 65535 65535 5"], "promises 42948362250 bytes"),
        (["line skip: 3"], "save it anew"),
        (["byte skip: -2"], "byte skip"),
        (["space directions: (1,0,0) (0,1,0)"], "one for each of 3 axes"),
        (["space: LPS", "space directions: (1,0,0) (2,0,0) (0,0,1)"], "same way"),
        (["space: LPS", "space directions: (nan,0,0) (0,1,0) (0,0,1)"], "not finite"),
        (["data file: LIST"], "LIST"),
    ],
)
def test_what_a_nrrd_header_must_not_say_is_refused(tmp_path, scan, lines, rule):
    assert rule in refusal(nrrd(tmp_path / "a.nrrd", scan.array, *lines))


def mha(path: Path, array: np.ndarray, data: str = "LOCAL", **fields: object) -> Path:
    """Write a MetaImage header by hand, with its voxels if they are local."""
    told = {
        "NDims": array.ndim,
        "DimSize": " ".join(str(n) for n in array.shape[::-1]),
        "ElementType": "MET_SHORT",
        "ElementSpacing": " ".join(["1"] * array.ndim),
        **fields,
        "ElementDataFile": data,
    }
    head = "".join(f"{name} = {value}\n" for name, value in told.items())
    path.write_bytes(head.encode() + (array.tobytes() if data == "LOCAL" else b""))
    return path


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"DimSize": "9 7"}, "2 sizes for 3 dimensions"),
        ({"DimSize": "9 7 -5"}, "its size is"),
        ({"DimSize": "65535 65535 5"}, "promises 42948362250 bytes"),
        ({"ElementType": "MET_OTHER"}, "MET_OTHER"),
        ({"BinaryData": "False"}, "as text"),
        ({"HeaderSize": -7}, "HeaderSize"),
        ({"TransformMatrix": "1 0 0 1"}, "must hold 9 numbers"),
        ({"ElementSpacing": "0 1 1"}, "not finite or not invertible"),
        ({"data": "LIST"}, "several files"),
        ({"data": "slice%03d.raw 1 5 1"}, "several files"),
    ],
)
def test_what_a_metaimage_header_must_not_say_is_refused(tmp_path, scan, fields, rule):
    assert rule in refusal(mha(tmp_path / "a.mha", scan.array, **fields))


def test_voxels_at_the_end_of_a_file_are_found(tmp_path, scan):
    path = mha(tmp_path / "a.mha", scan.array, HeaderSize=-1)
    head = path.read_bytes()[: -scan.array.nbytes]
    path.write_bytes(head + b"something else" + scan.array.tobytes())
    np.testing.assert_array_equal(read_scan(path).array, scan.array)


def test_bytes_after_the_voxels_are_told(tmp_path, scan):
    path = mha(tmp_path / "a.mha", scan.array)
    path.write_bytes(path.read_bytes() + b"12345")
    assert "5 bytes after the voxels were ignored" in read_scan(path).remarks


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


def test_a_packed_bomb_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "a.nrrd"
    nrrd(path, np.zeros((1, 1, 1), np.int16), "sizes: 60000 60000 900", encoding="gzip")
    assert "promises 6480000000000 bytes" in refusal(path)


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


def test_a_real_nrrd_lies_on_its_real_ct(data_folder, tmp_path):
    folder = data_folder / "dcmqi_ct3slice_liver"
    shutil.copy(folder / "liver_seg.nrrd", tmp_path)
    labels, geometry = read_mask(tmp_path / "liver_seg.nrrd", like=read_scan(folder / "ct"))
    assert geometry.coincides(itk_geometry(folder / "liver_seg.nrrd"), labels.shape)
    assert labels.any()
