"""The benchmark of opening scans, on tiny ones: what it reports, not how fast it is."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from napari_crii.benchmark._scans import FORMATS, voxels
from napari_crii.benchmark.loading import first_slice, loading, measure_memory
from napari_crii.cli._benchmark_loading import loading_lines
from napari_crii.io import read_scan
from napari_crii.io.bare import bare_reader


@pytest.mark.parametrize("kind", FORMATS, ids=lambda kind: kind.name)
def test_both_readers_return_the_same_voxels(tmp_path, kind):
    array = voxels(3, 16)
    kind.make(tmp_path / kind.file, array)
    ours, bare = read_scan(tmp_path / kind.file), bare_reader(kind.reader)(tmp_path / kind.file)
    bare = bare.T if kind.reader == "nibabel" else bare
    shift = -1024 if kind.reader == "pydicom" else 0
    np.testing.assert_array_equal(ours.array.squeeze(), bare.astype(np.int64) + shift)
    if kind.reader != "Pillow":
        np.testing.assert_array_equal(bare, array)


def test_the_report_has_every_format_and_a_table(monkeypatch):
    monkeypatch.setattr("napari_crii.benchmark.loading.memory_over_voxels", lambda path: 1.25)
    told: list[str] = []
    # Each look at this clock takes a second: every work takes one, and every ratio is 1.
    clock = itertools.count().__next__
    report = loading(2, 2, 16, told.append, clock)
    assert list(report["formats"]) == told == [kind.name for kind in FORMATS]
    assert all(record["over_bare"] == 1 for record in report["formats"].values())
    assert report["first_slice"] == {
        "visible": 1, "visible_over_bare": 1, "checked": 1, "checked_over_bare": 1
    }  # fmt: skip
    machine = {"cpu": "a processor", "cores": 2}
    lines = loading_lines({**report, "machine": machine})
    assert lines[0].count("\n") == len(FORMATS) + 1
    assert lines[1].startswith("first DICOM slice visible (its own header checked")
    assert lines[2].startswith("first DICOM slice checked (the headers of all")
    assert "a processor, 2 cores" in lines[-1]


def test_memory_is_at_least_that_of_the_voxels(tmp_path):
    kind = FORMATS[0]
    kind.make(tmp_path / kind.file, voxels(60, 512))
    measured = measure_memory(str(tmp_path / kind.file))
    assert measured["voxels"] == 60 * 512 * 512 * 2
    assert measured["peak"] >= measured["before"] > 0


def test_the_first_slice_is_timed_on_a_series(tmp_path):
    kind = next(kind for kind in FORMATS if kind.reader == "pydicom")
    kind.make(tmp_path / kind.file, voxels(3, 16))
    assert set(first_slice(tmp_path / kind.file, 2)) == {
        "visible", "visible_over_bare", "checked", "checked_over_bare"
    }  # fmt: skip
