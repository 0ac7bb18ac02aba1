"""Time points, objects of several frames, media with a DICOMDIR, and a slice before the rest."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedMRImageStorage, ImplicitVRLittleEndian, RLELossless, generate_uid

from napari_crii.errors import ScanError
from napari_crii.geometry import Geometry
from napari_crii.io import dicom_pixels, is_scan, read_scan, volume_count
from napari_crii.io.dicom import open_series, preview_series
from napari_crii.io.dicom_headers import read_header
from tests.io.conftest import mr_slice


@pytest.fixture
def phases(rng) -> np.ndarray:
    """Return three time points of a stack."""
    return rng.integers(-900, 900, (3, 5, 7, 9)).astype(np.int16)


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


def test_a_folder_copied_into_itself_is_one_volume(write_series, rng):
    array = rng.integers(0, 900, (4, 7, 9)).astype(np.int16)
    folder = write_series(array, lambda i, data: setattr(data, "InstanceNumber", i))
    for file in list(folder.iterdir()):
        shutil.copy(file, folder / f"copy of {file.name}")
    volume = read_scan(folder)
    np.testing.assert_array_equal(volume.array, array)
    assert any("4 identical copies" in r for r in volume.remarks)


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


def medium(tmp_path: Path, folder: Path) -> Path:
    """Return a medium: a DICOMDIR, and a series two folders below it."""
    disc = tmp_path / "disc"
    (disc / "IMAGES").mkdir(parents=True)
    shutil.copytree(folder, disc / "IMAGES" / "S1")
    (disc / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    return disc


@pytest.mark.parametrize("named", ["", "DICOMDIR"])
def test_a_medium_is_searched_and_this_is_told(tmp_path, write_series, phases, named):
    disc = medium(tmp_path, write_series(phases[0]))
    assert is_scan(disc / named)
    volume = read_scan(disc / named)
    np.testing.assert_array_equal(volume.array, phases[0])
    assert any("subfolders were searched" in r for r in volume.remarks)


def test_a_medium_with_two_series_lists_where_they_are(tmp_path, write_series, phases):
    disc = medium(tmp_path, write_series(phases[0]))
    shutil.copytree(write_series(phases[1], folder="other"), disc / "IMAGES" / "S2")
    with pytest.raises(ScanError) as refusal:
        read_scan(disc)
    assert "2 stacks" in str(refusal.value)
    for name in ("S1", "S2"):
        assert str(Path("IMAGES", name, "0900.dcm")) in str(refusal.value)
    volume = read_scan(disc / "IMAGES" / "S2" / "0900.dcm")
    np.testing.assert_array_equal(volume.array, phases[1])


def test_a_slice_is_there_before_the_others_are_read(write_series, phases, oblique, monkeypatch):
    def scaled(index, data):
        data.RescaleSlope, data.RescaleIntercept = 0.5 + index, index

    folder = write_series(phases[0], scaled)
    read: list[Path] = []
    original = dicom_pixels._read_plain

    def counted(header, out):
        read.append(header.path)
        original(header, out)

    monkeypatch.setattr(dicom_pixels, "_read_plain", counted)
    series = open_series(folder)
    assert read == []
    assert series.shape == phases[0].shape
    assert series.geometry.coincides(oblique, series.shape)
    middle = series.read_slice(2)
    assert len(read) == 1
    volume = series.read()
    np.testing.assert_array_equal(middle, volume.array[2])
    for index in range(5):
        np.testing.assert_array_equal(series.read_slice(index), volume.array[index])


def test_a_preview_reads_one_file_only(write_series, phases, monkeypatch):
    folder = write_series(phases[0])
    (folder / "notes.txt").write_text("no image")
    opened: list[str] = []
    original = pydicom.dcmread
    monkeypatch.setattr(
        pydicom, "dcmread", lambda stream, **kw: opened.append("") or original(stream, **kw)
    )
    preview = preview_series(folder).array[0]
    assert len(opened) == 1
    assert any(np.array_equal(preview, slice_) for slice_ in read_scan(folder).array)


def test_a_preview_of_nothing_is_refused(tmp_path):
    with pytest.raises(ScanError, match="no DICOM images"):
        preview_series(tmp_path)


@pytest.mark.parametrize("stored", [8, 12, 16])
@pytest.mark.parametrize("signed", [True, False])
def test_plain_pixels_equal_pydicoms_whatever_stands_in_unused_bits(
    write_series, rng, stored, signed
):
    dtype = np.int16 if signed else np.uint16
    noise = rng.integers(0, 2**16, (3, 7, 9)).astype(np.uint16).view(dtype)

    def narrow(index, data):
        data.BitsStored, data.HighBit = stored, stored - 1

    folder = write_series(noise, narrow)
    volume = read_scan(folder)
    expected = {
        float(d.ImagePositionPatient[2]): d.pixel_array
        for d in (pydicom.dcmread(file) for file in folder.iterdir())
    }
    found = {round(float(np.abs(a.astype(float)).sum())) for a in volume.array}
    assert found == {round(float(np.abs(a.astype(float)).sum())) for a in expected.values()}
    assert volume.array.dtype == next(iter(expected.values())).dtype


def test_pixels_of_an_unknown_kind_are_left_to_the_decoder(write_series, phases):
    folder = write_series(phases[0])
    for file in folder.iterdir():
        content = file.read_bytes()
        at = content.rindex(b"\xe0\x7f\x10\x00OW")
        file.write_bytes(content[: at + 4] + b"UN" + content[at + 6 :])
        assert read_header(file)[0].pixels_at is None
    np.testing.assert_array_equal(read_scan(folder).array, phases[0])


def test_implicit_vr_is_read_alike(write_series, phases, oblique):
    folder = write_series(phases[0])
    other = folder.parent / "implicit"
    other.mkdir()
    for file in folder.iterdir():
        data = pydicom.dcmread(file)
        data.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
        data.save_as(other / file.name, implicit_vr=True, little_endian=True)
    volume = read_scan(other)
    np.testing.assert_array_equal(volume.array, phases[0])
    assert volume.geometry.coincides(oblique, volume.shape)


def test_uids_with_leading_zeros_are_read_without_a_warning(write_series, phases):
    def odd(index, data):
        data.SeriesInstanceUID = "1.2.03.004"
        data.FrameOfReferenceUID = "1.2.03.005"

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = write_series(phases[0], odd)
    np.testing.assert_array_equal(read_scan(folder).array, phases[0])


def test_a_header_of_megabytes_is_passed_over(write_series, phases):
    def huge(index, data):
        data.add_new(0x00291010, "OB", b"\0" * (3 << 20))

    np.testing.assert_array_equal(read_scan(write_series(phases[0], huge)).array, phases[0])
