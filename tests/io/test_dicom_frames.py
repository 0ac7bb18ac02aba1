"""Objects of several frames: enhanced ones are placed frame by frame, plain ones are a stack."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedMRImageStorage, RLELossless, generate_uid

from napari_crii.errors import ScanError
from napari_crii.geometry import Geometry
from napari_crii.io import read_scan, volume_count
from tests.io.conftest import mr_slice


def item(**elements: object) -> Sequence:
    made = Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return Sequence([made])


def enhanced(phases: np.ndarray, geometry: Geometry) -> pydicom.FileDataset:
    """Return one enhanced MR object with all slices of all time points, slices downwards."""
    data = mr_slice(phases[0, 0], 0, geometry, generate_uid(), generate_uid())
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        delattr(data, keyword)
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = EnhancedMRImageStorage
    shared = Dataset()
    shared.PixelMeasuresSequence = item(
        PixelSpacing=list(geometry.spacing[1:]), SliceThickness=geometry.spacing[0]
    )
    shared.PlaneOrientationSequence = item(
        ImageOrientationPatient=[
            f"{v:.8f}" for v in (*geometry.direction[2], *geometry.direction[1])
        ]
    )
    data.SharedFunctionalGroupsSequence = Sequence([shared])
    groups, frames = [], []
    for z in reversed(range(phases.shape[1])):
        for phase in range(phases.shape[0]):
            position = geometry.affine @ (z, 0, 0, 1)
            group = Dataset()
            group.PlanePositionSequence = item(
                ImagePositionPatient=[f"{v:.8g}" for v in position[:3]]
            )
            group.FrameContentSequence = item(TemporalPositionIndex=phase + 1)
            group.PixelValueTransformationSequence = item(
                RescaleSlope=1, RescaleIntercept=-7, RescaleType="US"
            )
            groups.append(group)
            frames.append(phases[phase, z])
    data.PerFrameFunctionalGroupsSequence = Sequence(groups)
    data.NumberOfFrames = len(frames)
    data.PixelData = np.stack(frames).tobytes()
    return data


@pytest.mark.parametrize("packed", [False, True])
def test_an_enhanced_object_is_a_volume_where_its_frames_say(tmp_path, phases, oblique, packed):
    path = tmp_path / "enhanced.dcm"
    data = enhanced(phases[:1], oblique)
    if packed:
        data.compress(RLELossless)
    data.save_as(path, enforce_file_format=True)
    volume = read_scan(path)
    np.testing.assert_array_equal(volume.array, phases[0] - 7)
    assert volume.geometry.coincides(oblique, volume.shape)
    assert volume.remarks == ()
    assert volume.name == "enhanced.dcm"
    np.testing.assert_array_equal(read_scan(tmp_path).array, volume.array)


@pytest.mark.parametrize("packed", [False, True])
def test_an_enhanced_object_with_time_points_holds_volumes(tmp_path, phases, oblique, packed):
    path = tmp_path / "enhanced.dcm"
    data = enhanced(phases, oblique)
    if packed:
        data.compress(RLELossless)
    data.save_as(path, enforce_file_format=True)
    assert volume_count(path) == 3
    for index in range(3):
        volume = read_scan(path, index)
        np.testing.assert_array_equal(volume.array, phases[index] - 7)
        assert volume.geometry.coincides(oblique, volume.shape)


def test_a_gap_between_frames_is_found(tmp_path, phases, oblique):
    data = enhanced(phases[:1], oblique)
    del data.PerFrameFunctionalGroupsSequence[2]
    data.NumberOfFrames = 4
    data.PixelData = data.PixelData[: 4 * 7 * 9 * 2]
    data.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    with pytest.raises(ScanError, match="8 mm instead of 4 mm"):
        read_scan(tmp_path / "a.dcm")


def test_frames_that_are_not_all_described_are_refused(tmp_path, phases, oblique):
    data = enhanced(phases[:1], oblique)
    del data.PerFrameFunctionalGroupsSequence[2]
    data.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    with pytest.raises(ScanError, match="describes 4 of its 5 frames"):
        read_scan(tmp_path / "a.dcm")


@pytest.mark.parametrize("spaced", [True, False])
def test_plain_frames_are_a_stack_in_mm_only_if_they_tell_spacing(
    tmp_path, phases, oblique, spaced
):
    data = mr_slice(phases[0, 0], 0, Geometry((4.0, 0.5, 2.0)), generate_uid(), generate_uid())
    data.NumberOfFrames, data.PixelData = 5, phases[0].tobytes()
    if not spaced:
        del data.SliceThickness
    data.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    volume = read_scan(tmp_path / "a.dcm")
    np.testing.assert_array_equal(volume.array, phases[0])
    assert volume.geometry.unit == ("mm" if spaced else "px")
    if spaced:
        assert volume.geometry.spacing == (4.0, 0.5, 2.0)
    assert any("orientation" in r for r in volume.remarks)


def test_real_frames_of_ultrasound_are_a_stack_in_pixels():
    volume = read_scan(get_testdata_file("examples_ybr_color.dcm"))
    assert (volume.channels, volume.geometry.unit) == (3, "px")
    assert volume.shape[0] == 30
