"""What MetaImage headers say is taken as ITK takes it, or refused."""

from __future__ import annotations

import numpy as np
import pytest

from napari_crii.io import read_scan
from tests.io.files import refusal
from tests.io.raw_files import mha


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
