"""Whatever is wrong with a file: exit code 2, one sentence that names it, nothing written."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file

from tests.disks import small_disk


def _truncated(path: Path, scan: Path) -> Path:
    raw = gzip.decompress(scan.read_bytes())
    target = path / "cut.nii"
    target.write_bytes(raw[: len(raw) // 2])
    return target


def _truncated_gzip(path: Path, scan: Path) -> Path:
    target = path / "cut.nii.gz"
    target.write_bytes(scan.read_bytes()[:-200])
    return target


def _empty(path: Path, scan: Path) -> Path:
    target = path / "empty.nii.gz"
    target.touch()
    return target


def _missing(path: Path, scan: Path) -> Path:
    return path / "missing.nii.gz"


def _text_as_nifti(path: Path, scan: Path) -> Path:
    target = path / "text.nii.gz"
    target.write_text("this is no scan")
    return target


def _nifti_as_png(path: Path, scan: Path) -> Path:
    return Path(shutil.copy(scan, path / "mislabelled.png"))


def _nifti_as_dicom(path: Path, scan: Path) -> Path:
    return Path(shutil.copy(scan, path / "mislabelled.dcm"))


def _empty_folder(path: Path, scan: Path) -> Path:
    (path / "empty_folder").mkdir()
    return path / "empty_folder"


def _unknown_kind(path: Path, scan: Path) -> Path:
    return Path(shutil.copy(scan, path / "scan.xyz"))


def _different_duplicate(path: Path, scan: Path) -> Path:
    folder = path / "series"
    folder.mkdir()
    source = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
    source.save_as(folder / "a.dcm")
    pixels = source.pixel_array.copy()
    pixels[0, 0] += 1
    source.PixelData = pixels.tobytes()
    source.save_as(folder / "b.dcm")
    return folder


BAD_SCANS = [
    _truncated, _truncated_gzip, _empty, _missing, _text_as_nifti, _nifti_as_png,
    _nifti_as_dicom, _empty_folder, _unknown_kind, _different_duplicate,
]  # fmt: skip
Maker = Callable[[Path, Path], Path]


@pytest.mark.parametrize("make", BAD_SCANS)
@pytest.mark.parametrize("command", ["info", "predict", "demo"])
def test_bad_scans_are_refused(
    refused, tmp_path: Path, scan_file: Path, checkpoint: Path, make: Maker, command: str
) -> None:
    bad, out = make(tmp_path, scan_file), tmp_path / "out"
    options: tuple[object, ...] = ()
    if command != "info":
        options = ("-o", out, "--checkpoint", checkpoint)
    text = refused(command, bad, *options, *(["--headless"] if command == "demo" else []))
    assert bad.name in text
    assert not out.exists()


def test_a_duplicate_slice_with_other_pixels_says_so(
    refused, tmp_path: Path, scan_file: Path
) -> None:
    text = refused("info", _different_duplicate(tmp_path, scan_file))
    assert "lie at the same position but differ" in text


def _no_checkpoint(path: Path, good: Path) -> Path:
    return path / "absent.safetensors"


def _text_checkpoint(path: Path, good: Path) -> Path:
    (path / "text.safetensors").write_text("these are no weights")
    return path / "text.safetensors"


def _png_checkpoint(path: Path, good: Path) -> Path:
    from PIL import Image

    Image.new("L", (30, 30)).save(path / "image.png")
    return path / "image.png"


def _empty_checkpoint(path: Path, good: Path) -> Path:
    (path / "empty.safetensors").touch()
    return path / "empty.safetensors"


def _folder_checkpoint(path: Path, good: Path) -> Path:
    (path / "folder.safetensors").mkdir()
    return path / "folder.safetensors"


def _damaged(path: Path, good: Path) -> Path:
    blob = bytearray(good.read_bytes())
    blob[-1000] ^= 1
    (path / "damaged.safetensors").write_bytes(blob)
    return path / "damaged.safetensors"


def _cut(path: Path, good: Path) -> Path:
    (path / "cut.safetensors").write_bytes(good.read_bytes()[:-4000])
    return path / "cut.safetensors"


BAD_CHECKPOINTS = [
    _no_checkpoint, _text_checkpoint, _png_checkpoint, _empty_checkpoint, _folder_checkpoint,
    _damaged, _cut,
]  # fmt: skip


@pytest.mark.parametrize("make", BAD_CHECKPOINTS)
@pytest.mark.parametrize("command", ["predict", "demo"])
def test_bad_checkpoints_are_refused(
    refused, tmp_path: Path, scan_file: Path, checkpoint: Path, make: Maker, command: str
) -> None:
    bad, out = make(tmp_path, checkpoint), tmp_path / "out"
    headless = ["--headless"] if command == "demo" else []
    text = refused(command, scan_file, "-o", out, "--checkpoint", bad, *headless)
    assert bad.name in text
    assert not out.exists()


def test_a_checkpoint_for_grey_values_refuses_colours(
    refused, tmp_path: Path, checkpoint: Path
) -> None:
    from PIL import Image

    Image.linear_gradient("L").convert("HSV").convert("RGB").save(tmp_path / "grey.png")
    colour = Image.merge("RGB", [Image.linear_gradient("L"), *[Image.new("L", (256, 256))] * 2])
    colour.save(tmp_path / "colour.png")
    out = tmp_path / "out"
    text = refused("predict", tmp_path / "colour.png", "-o", out, "--checkpoint", checkpoint)
    assert "expects grey values, but colour has colours" in text
    assert not out.exists()


@pytest.mark.parametrize(
    "arguments",
    [["info", "missing.nii.gz"], ["predict", "missing.nii.gz", "-o", "out"], ["nonsense"]],
)
def test_a_real_process_ends_with_code_2_and_no_traceback(
    arguments: list[str], tmp_path: Path
) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "napari_crii.cli", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_an_identical_duplicate_is_dropped_and_said(run, tmp_path: Path) -> None:
    folder = tmp_path / "series"
    folder.mkdir()
    for name in ("a.dcm", "b.dcm"):
        shutil.copy(str(get_testdata_file("CT_small.dcm")), folder / name)
    result = run("info", folder)
    assert result.exit_code == 0
    assert "1 identical copies of slices were dropped" in " ".join(result.output.split())


def test_a_missing_slice_says_where(refused, tmp_path: Path) -> None:
    folder = tmp_path / "series"
    folder.mkdir()
    source = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
    for height in (0, 5, 15):
        source.ImagePositionPatient = [0, 0, height]
        source.save_as(folder / f"{height}.dcm")
    text = refused("info", folder)
    assert "5.dcm and 15.dcm" in text
    assert "10 mm instead of 5 mm" in text


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk with room for a folder, but not for a mask."""
    with small_disk(tmp_path / "disk", "size=16k") as folder:
        (folder / "filler").write_bytes(b"\0" * (8 << 10))
        yield folder


def test_a_full_disk_is_named_and_nothing_is_left_on_it(
    refused, full_disk: Path, scan_file: Path, checkpoint: Path
) -> None:
    text = refused("predict", scan_file, "-o", full_disk / "out", "--checkpoint", checkpoint)
    assert "was not saved: the disk is full" in text
    assert {path.name for path in full_disk.iterdir()} == {"filler"}
