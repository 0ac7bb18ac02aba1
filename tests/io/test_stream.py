"""Packed streams in pieces of any size: the same bytes as Python's own zlib, and all of them."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_crii.io import _stream
from napari_crii.io._stream import read_voxels

PACK = {"gzip": gzip.compress, "zlib": zlib.compress}
once_per_case = settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


@given(
    pieces=st.tuples(st.integers(1, 50), st.integers(1, 400)),
    runs=st.lists(st.tuples(st.integers(0, 255), st.integers(1, 900)), min_size=1, max_size=20),
    packing=st.sampled_from(["gzip", "zlib"]),
    skip=st.integers(0, 30),
)
@once_per_case
def test_pieces_of_any_size_make_the_whole(tmp_path: Path, pieces, runs, packing, skip):
    content = bytes(skip) + b"".join(bytes([value]) * count for value, count in runs)
    path = tmp_path / "packed"
    path.write_bytes(PACK[packing](content))
    array = np.empty(len(content) - skip, np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_stream, "_PIECE", pieces[0])
        patch.setattr(_stream, "_UNPACKED_PIECE", pieces[1])
        assert read_voxels(path, array, 0, skip, packing) == 0
    assert array.tobytes() == content[skip:]


@given(place=st.integers(0, 10_000), bit=st.integers(0, 7), packing=st.sampled_from([*PACK]))
@once_per_case
def test_what_zlib_refuses_is_refused(tmp_path: Path, place, bit, packing):
    content = bytes(range(250)) * 20
    damaged = bytearray(PACK[packing](content))
    damaged[place % len(damaged)] ^= 1 << bit
    path = tmp_path / "packed"
    path.write_bytes(damaged)
    array = np.empty(len(content), np.uint8)
    try:
        unpacked = zlib.decompress(damaged, {"gzip": 31, "zlib": 15}[packing])
    except zlib.error:
        with pytest.raises(ValueError, match=r"\w"):
            read_voxels(path, array, packing=packing)
        return
    read_voxels(path, array, packing=packing)
    assert array.tobytes() == unpacked


def test_members_of_a_gzip_file_follow_each_other(tmp_path: Path):
    content = np.arange(3000, dtype=np.uint16)
    halves = [gzip.compress(part.tobytes()) for part in np.split(content, 2)]
    (tmp_path / "two").write_bytes(b"".join(halves) + bytes(512))
    array = np.empty_like(content)
    assert read_voxels(tmp_path / "two", array, packing="gzip") == 0
    np.testing.assert_array_equal(array, content)
