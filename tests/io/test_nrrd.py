"""What NRRD headers say is taken as Teem means it, or refused."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from napari_crii.geometry import Geometry
from napari_crii.io import read_mask, read_scan, volume_count
from tests.io.files import refusal
from tests.io.raw_files import DIRECTIONS, ORIGIN, itk_geometry, nrrd


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


def test_a_packed_bomb_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "a.nrrd"
    nrrd(path, np.zeros((1, 1, 1), np.int16), "sizes: 60000 60000 900", encoding="gzip")
    assert "promises 6480000000000 bytes" in refusal(path)


def test_a_real_nrrd_lies_on_its_real_ct(data_folder, tmp_path):
    folder = data_folder / "dcmqi_ct3slice_liver"
    shutil.copy(folder / "liver_seg.nrrd", tmp_path)
    labels, geometry = read_mask(tmp_path / "liver_seg.nrrd", like=read_scan(folder / "ct"))
    assert geometry.coincides(itk_geometry(folder / "liver_seg.nrrd"), labels.shape)
    assert labels.any()


@pytest.mark.parametrize(
    ("unit", "mm"), [("mm", 1.0), ("cm", 10.0), ("m", 1000.0), ("microns", 1e-3), ("", 1.0)]
)
@pytest.mark.parametrize("place", ["space units", "units"])
def test_units_of_length_are_converted_to_mm(tmp_path, scan, unit, mm, place):
    units = f'{place}: "{unit}" "{unit}" "{unit}"'
    lines = ("space: left-posterior-superior", units, DIRECTIONS, ORIGIN)
    volume = read_scan(nrrd(tmp_path / "a.nrrd", scan.array, *lines))
    plain = itk_geometry(nrrd(tmp_path / "b.nrrd", scan.array, *lines[:1], *lines[2:]))
    # SimpleITK takes every number for mm.
    np.testing.assert_allclose(volume.geometry.affine[:3], plain.affine[:3] * mm, rtol=1e-9)
    told = {"microns": "um"}.get(unit, unit)
    expected = (f"the file counts in {told}, converted to mm",) if mm != 1 else ()
    assert volume.remarks == expected


@pytest.mark.parametrize(
    "units", ['"furlong" "furlong" "furlong"', '"mm" "mm" "cm"', '"s" "s" "s"']
)
def test_other_units_are_refused_by_name(tmp_path, scan, units):
    lines = ("space: LPS", f"space units: {units}", DIRECTIONS, ORIGIN)
    sentence = refusal(nrrd(tmp_path / "a.nrrd", scan.array, *lines))
    assert "its axes count in the unit" in sentence
    assert units.split('"')[1] in sentence


def test_the_unit_of_time_is_not_one_of_space(tmp_path, scan):
    units = 'space units: "cm" "cm" "cm" "s"'
    lines = ("space: LPST", units, "space directions: none (2,0,0,0) (0,3,0,0) (0,0,4,0)")
    array = np.stack([scan.array, scan.array], axis=-1)
    path = nrrd(tmp_path / "a.nrrd", array, *lines, "kinds: list domain domain domain")
    assert read_scan(path, 0).geometry.spacing == (40.0, 30.0, 20.0)
