"""`predict`: what is written, what is reported, and that it is all or nothing."""

from __future__ import annotations

import errno
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_crii.cli._proposal_files import unique_stems
from napari_crii.errors import CriiError
from napari_crii.io import read_mask, read_scan
from tests.disks import small_disk

KEYS = [
    "scan", "mask", "coarse", "refined", "disagreement", "patches", "doubt", "slice_doubt",
    "seconds", "checkpoint",
]  # fmt: skip


def test_a_scan_gives_four_files_on_its_grid(
    as_json, scan_file: Path, checkpoint: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "folder"
    (record,) = as_json("predict", scan_file, "-o", out, "--checkpoint", checkpoint)
    assert list(record) == KEYS
    volume = read_scan(scan_file)
    assert len(record["slice_doubt"]) == volume.slice_count
    seen = [doubt for doubt in record["slice_doubt"] if doubt is not None]
    assert record["doubt"] == pytest.approx(np.mean(seen), abs=1e-4)
    labels, _ = read_mask(record["mask"], like=volume)
    refined = read_scan(record["refined"])
    assert np.array_equal(labels, refined.array > 0.5)
    for key in ("coarse", "refined", "disagreement"):
        written = read_scan(record[key])
        assert written.geometry.coincides(volume.geometry, volume.shape)
        assert 0 <= written.array.min() <= written.array.max() <= 1
    assert sorted(p.name for p in out.iterdir()) == [
        "one_coarse.nii.gz", "one_disagreement.nii.gz", "one_done.json", "one_mask.nii.gz",
        "one_refined.nii.gz",
    ]  # fmt: skip


def test_the_record_names_patches_and_weights(
    as_json, scan_file: Path, checkpoint: Path, tmp_path: Path
) -> None:
    (record,) = as_json("predict", scan_file, "-o", tmp_path, "--checkpoint", checkpoint)
    assert record["scan"] == str(scan_file)
    assert re.fullmatch("[0-9a-f]{64}", record["checkpoint"])
    assert record["seconds"] > 0
    assert record["patches"]
    for patch in record["patches"]:
        assert list(patch) == ["slice", "box", "score", "reason"]
        top, left, bottom, right = patch["box"]
        assert 0 <= top < bottom <= 32
        assert 0 <= left < right <= 40
        assert patch["reason"] in ("boundary", "low contrast", "region")


def test_an_image_gives_png_and_tif(as_json, png: Path, checkpoint: Path, tmp_path: Path) -> None:
    (record,) = as_json(
        "predict", png, "-o", tmp_path / "out", "--checkpoint", checkpoint, "--views", 1
    )
    assert [Path(record[key]).suffix for key in KEYS[1:5]] == [".png", ".tif", ".tif", ".tif"]
    with Image.open(record["refined"]) as image:
        assert image.mode == "F"
        assert image.size == (52, 40)


def test_several_classes_give_a_map_each(
    as_json, scan_file: Path, two_classes: Path, tmp_path: Path
) -> None:
    (record,) = as_json("predict", scan_file, "-o", tmp_path, "--checkpoint", two_classes)
    names = [Path(path).name for path in record["refined"]]
    assert names == ["one_refined-1-organ.nii.gz", "one_refined-2-a-lesion-2.nii.gz"]
    assert len(record["coarse"]) == 2
    total = sum(read_scan(path).array.astype(float) for path in record["refined"])
    assert total.max() <= 1 + 1e-5


def test_scans_of_one_name_are_told_apart_by_their_folders(
    as_json, scan_file: Path, checkpoint: Path, tmp_path: Path
) -> None:
    for patient in ("a", "b"):
        (tmp_path / patient).mkdir()
        shutil.copy(scan_file, tmp_path / patient / "one.nii.gz")
    scans = [tmp_path / patient / "one.nii.gz" for patient in ("a", "b")]
    records = as_json(
        "predict", *scans, "-o", tmp_path / "out", "--checkpoint", checkpoint, "--views", 1
    )
    assert [Path(r["mask"]).name for r in records] == ["a_one_mask.nii.gz", "b_one_mask.nii.gz"]


def test_of_several_volumes_one_is_chosen_and_named(
    as_json, refused, checkpoint: Path, tmp_path: Path, rng: np.random.Generator
) -> None:
    path = tmp_path / "phases.nii.gz"
    values = rng.integers(0, 99, (32, 32, 2, 3)).astype(np.int16)
    nib.save(nib.Nifti1Image(values, np.diag([1.0, 1.0, 6.0, 1.0])), path)
    options = ("-o", tmp_path / "out", "--checkpoint", checkpoint, "--views", 1)
    assert "holds 3 volumes" in refused("predict", path, *options)
    for index in (0, 2):
        (record,) = as_json("predict", path, *options, "--volume-index", index)
        assert Path(record["mask"]).name == f"phases_volume{index}_mask.nii.gz"


def test_the_same_scan_twice_is_refused_before_anything_is_computed(
    refused, scan_file: Path, checkpoint: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    text = refused("predict", scan_file, scan_file, "-o", out, "--checkpoint", checkpoint)
    assert "same files" in text
    assert not out.exists()


def test_names_that_differ_in_case_only_are_one_name_on_some_disks() -> None:
    with pytest.raises(CriiError, match="same files"):
        unique_stems([Path("x/Scan.nii.gz"), Path("x/scan.nii.gz")])


def test_one_bad_scan_among_good_ones_is_named_and_the_others_are_done(
    run, scan_file: Path, checkpoint: Path, tmp_path: Path
) -> None:
    missing = tmp_path / "missing.nii.gz"
    result = run(
        "predict", missing, scan_file, "-o", tmp_path / "out", "--checkpoint", checkpoint,
        "--views", 1, "--json",
    )  # fmt: skip
    assert result.exit_code == 2
    assert result.stderr.strip() == f"Error: {missing} does not exist"
    assert [r["scan"] for r in json.loads(result.stdout)] == [str(scan_file)]
    assert len(list((tmp_path / "out").glob("one_*"))) == 5


def test_an_existing_file_is_replaced_only_when_asked(
    run, refused, scan_file: Path, checkpoint: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "one_mask.nii.gz"
    mine.write_bytes(b"drawn by hand")
    arguments = ("predict", scan_file, "-o", tmp_path, "--checkpoint", checkpoint, "--views", 1)
    assert "--overwrite" in refused(*arguments)
    assert mine.read_bytes() == b"drawn by hand"
    assert run(*arguments, "--overwrite").exit_code == 0
    read_mask(mine)


@pytest.mark.parametrize("failing", [1, 2, 4, 5])
def test_a_disk_that_fills_up_leaves_nothing(
    refused,
    scan_file: Path,
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    failing: int,
) -> None:
    from napari_crii.io import atomic

    calls = []

    def sync(path: Path) -> None:
        calls.append(path)
        if len(calls) == failing:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(atomic, "_sync_file", sync)
    out = tmp_path / "deep" / "out"
    text = refused("predict", scan_file, "-o", out, "--checkpoint", checkpoint, "--views", 1)
    assert "the disk is full" in text
    assert len(calls) == failing
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of 24 KB, where the system lets us."""
    with small_disk(tmp_path / "disk", "size=24k") as folder:
        yield folder


def test_a_truly_full_disk_leaves_nothing(
    refused, scan_file: Path, checkpoint: Path, disk: Path
) -> None:
    out = disk / "out"
    text = refused("predict", scan_file, "-o", out, "--checkpoint", checkpoint, "--views", 1)
    assert "the disk is full" in text
    assert list(disk.iterdir()) == []


def test_an_output_that_is_a_file_is_refused_at_once(
    refused, scan_file: Path, checkpoint: Path, tmp_path: Path
) -> None:
    (tmp_path / "out").write_text("a file")
    text = refused("predict", scan_file, "-o", tmp_path / "out" / "x", "--checkpoint", checkpoint)
    assert "is a file, not a folder" in text


def test_a_write_protected_output_is_refused_at_once(
    refused, scan_file: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_crii.cli import _folders

    monkeypatch.setattr(_folders.os, "access", lambda path, mode: False)
    text = refused("predict", scan_file, "-o", tmp_path / "out", "--checkpoint", checkpoint)
    assert "write-protected" in text
    assert not (tmp_path / "out").exists()


def test_a_summary_in_words_without_json(
    run, scan_file: Path, checkpoint: Path, tmp_path: Path
) -> None:
    result = run("predict", scan_file, "-o", tmp_path, "--checkpoint", checkpoint, "--views", 1)
    assert result.exit_code == 0
    assert "patches to look at" in result.stdout


def test_one_volume_of_a_4d_scan_is_proposed_by_its_index(
    as_json, checkpoint: Path, tmp_path: Path, rng
) -> None:
    stacks = rng.integers(0, 900, (20, 24, 3, 2)).astype(np.int16)
    nib.save(nib.Nifti1Image(stacks, np.diag([1, 1, 4, 1.0])), tmp_path / "cine.nii.gz")
    options = ["-o", tmp_path / "out", "--checkpoint", checkpoint, "--views", 1]
    (record,) = as_json("predict", tmp_path / "cine.nii.gz", "--volume-index", 1, *options)
    volume = read_scan(tmp_path / "cine.nii.gz", 1)
    assert read_mask(record["mask"], like=volume)[0].shape == volume.shape


def test_a_stack_without_a_size_is_saved_as_a_volume(
    as_json, checkpoint: Path, tmp_path: Path, rng
) -> None:
    stack = rng.integers(0, 255, (3, 20, 24)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "stack.tif", stack, photometric="minisblack")
    (record,) = as_json(
        "predict", tmp_path / "stack.tif", "-o", tmp_path / "out", "--checkpoint", checkpoint,
        "--views", 1,
    )  # fmt: skip
    assert record["mask"].endswith("stack_mask.nii.gz")
    like = read_scan(tmp_path / "stack.tif")
    assert read_mask(record["mask"], like=like)[0].shape == (3, 20, 24)
