"""Slices that repeat at every position are time points, if something tells them apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from napari_crii.errors import ScanError
from napari_crii.geometry import Geometry
from napari_crii.io import read_scan, volume_count
from tests.io.conftest import mr_slice


def written(tmp_path: Path, phases: np.ndarray, geometry: Geometry, tell) -> Path:
    """Write time points into one series; `tell` sets what tells them apart."""
    folder, series, frame = tmp_path / "series", generate_uid(), generate_uid()
    folder.mkdir()
    names = np.random.default_rng(3).permutation(phases.shape[0] * phases.shape[1])
    for count, (phase, index) in enumerate(np.ndindex(phases.shape[:2])):
        data = mr_slice(phases[phase, index], index, geometry, series, frame)
        tell(data, phase, index)
        data.save_as(folder / f"{names[count]:03d}.dcm", enforce_file_format=True)
    return folder


def temporal_position(data: Dataset, phase: int, index: int) -> None:
    data.TemporalPositionIdentifier = phase + 1
    data.InstanceNumber = 100 - (phase * 5 + index)


def trigger_time(data: Dataset, phase: int, index: int) -> None:
    data.TriggerTime = 40.5 * phase + index * 0.1
    data.AcquisitionTime = "101500"


def acquisition_time(data: Dataset, phase: int, index: int) -> None:
    data.AcquisitionTime = f"{100000 + 100 * phase + index}.{index:03d}"


def instance_number(data: Dataset, phase: int, index: int) -> None:
    data.InstanceNumber = index * 3 + phase + 1


@pytest.mark.parametrize(
    "tell", [temporal_position, trigger_time, acquisition_time, instance_number]
)
def test_slices_that_repeat_at_every_position_are_time_points(tmp_path, phases, oblique, tell):
    folder = written(tmp_path, phases, oblique, tell)
    assert volume_count(folder) == 3
    with pytest.raises(ScanError, match="holds 3 volumes: choose one with volume index 0 to 2"):
        read_scan(folder)
    for index in range(3):
        volume = read_scan(folder, volume_index=index)
        np.testing.assert_array_equal(volume.array, phases[index])
        assert volume.geometry.coincides(oblique, volume.shape)
        assert f"volume {index} of volumes 0 to 2" in volume.remarks


def test_a_file_of_a_time_series_stands_for_the_series(tmp_path, phases, oblique):
    folder = written(tmp_path, phases, oblique, temporal_position)
    file = next(folder.iterdir())
    assert volume_count(file) == 3
    np.testing.assert_array_equal(read_scan(file, 1).array, phases[1])


def test_time_points_that_nothing_tells_apart_are_refused(tmp_path, phases, oblique):
    folder = written(tmp_path, phases, oblique, lambda data, phase, index: None)
    assert volume_count(folder) == 1
    with pytest.raises(ScanError, match="same position but differ"):
        read_scan(folder)


def test_a_time_point_that_lacks_a_slice_is_no_volume(tmp_path, phases, oblique):
    folder = written(tmp_path, phases, oblique, temporal_position)
    next(folder.iterdir()).unlink()
    with pytest.raises(ScanError, match="same position but differ"):
        read_scan(folder)
