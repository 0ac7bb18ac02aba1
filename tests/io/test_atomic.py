"""What is written is verified, or what stood there before is untouched."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from napari_crii.errors import WriteError
from napari_crii.geometry import Geometry
from napari_crii.io import atomic, atomic_write, read_mask, write_mask
from tests.disks import mount
from tests.io.files import only

PIXELS = Geometry.pixels()


def fault(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make one step of saving fail."""

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def zeroed(image):
        empty = np.zeros(image.shape, np.asarray(image.dataobj).dtype)
        return original(nib.Nifti1Image(empty, image.affine, image.header))

    def moved(image):
        affine = image.affine.copy()
        affine[0, 3] += 0.5
        return original(nib.Nifti1Image(np.asarray(image.dataobj), affine))

    original = nib.Nifti1Image.to_bytes
    replacements = {
        "write": (Path, "write_bytes", full),
        "sync": (os, "fsync", full),
        "rename": (os, "replace", full),
        "silent zeros": (nib.Nifti1Image, "to_bytes", zeroed),
        "silent shift": (nib.Nifti1Image, "to_bytes", moved),
    }
    monkeypatch.setattr(*replacements[step])


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("write", "the disk is full"),
        ("sync", "the disk is full"),
        ("rename", "the disk is full"),
        ("silent zeros", "did not read back the same"),
        ("silent shift", "0.5 mm away"),
    ],
)
def test_a_failure_at_any_step_leaves_the_old_file_alone(
    tmp_path, labels, oblique, monkeypatch, step, words
):
    path = tmp_path / "mask.nii.gz"
    write_mask(path, labels, oblique)
    before = path.read_bytes()
    fault(step, monkeypatch)
    with pytest.raises(WriteError, match=words) as refusal:
        write_mask(path, (labels + 1) % 4, oblique)
    assert str(path) in str(refusal.value)
    assert path.read_bytes() == before
    assert only(tmp_path) == {path.name}


@pytest.mark.parametrize("name", ["mask.nii.gz", "mask.nii", "mask.nrrd", "mask.mha", "mask.png"])
def test_a_really_full_disk_keeps_the_old_mask(disk, rng, name):
    path = disk / name
    old = rng.integers(0, 4, (1, 20, 20))
    write_mask(path, old, PIXELS)
    before = path.read_bytes()
    with pytest.raises(WriteError, match="the disk is full"):
        write_mask(path, rng.integers(0, 250, (1, 400, 400)), PIXELS)
    assert path.read_bytes() == before
    assert only(disk) == {name}


def test_a_really_read_only_disk_keeps_the_old_mask(disk, labels):
    write_mask(disk / "m.nii.gz", labels, Geometry())
    before = (disk / "m.nii.gz").read_bytes()
    assert mount(disk, "remount,ro")
    with pytest.raises(WriteError, match=r"read-only|write-protected"):
        write_mask(disk / "m.nii.gz", labels + 1, Geometry())
    assert (disk / "m.nii.gz").read_bytes() == before


def as_a_user(folder: Path, write: Callable[[], None]) -> str:
    """Write as an owner of the folder whom permissions bind; return the refusal, or ``"saved"``."""

    def told() -> str:
        try:
            write()
        except WriteError as error:
            return str(error)
        return "saved"

    if os.geteuid() != 0:
        return told()
    # Root gives the folder away, and a child of ours its rights.
    from tests.faults.child import NOBODY, give_up_root, in_child, limit_time

    for item in (folder, *folder.iterdir()):
        os.chown(item, NOBODY, NOBODY)
    answer = in_child(lambda: (limit_time(), give_up_root(), told())[-1])
    return answer.death or answer.value


@pytest.mark.skipif(os.name == "nt", reason="folders are protected by other means there")
@pytest.mark.parametrize("protected", ["folder", "file", "nothing"])
def test_permissions_are_respected(labels, protected):
    # Not below `tmp_path`, which nobody but its owner can enter.
    with tempfile.TemporaryDirectory() as name:
        folder, path = Path(name), Path(name, "m.nii.gz")
        write_mask(path, labels, Geometry())
        before = path.read_bytes()
        items = {"folder": [folder], "file": [path], "nothing": []}[protected]
        for item in items:
            item.chmod(0o555)
        told = as_a_user(folder, lambda: write_mask(path, labels + 1, Geometry()))
        folder.chmod(0o755)
        assert ("write-protected" in told) == bool(items)
        assert (told == "saved") == (not items)
        assert (path.read_bytes() == before) == bool(items)
        assert only(folder) == {path.name}


def test_a_write_protected_file_is_not_renamed_over(tmp_path, labels, monkeypatch):
    path = tmp_path / "m.nii.gz"
    write_mask(path, labels, Geometry())
    monkeypatch.setattr(os, "access", lambda *args: False)
    with pytest.raises(WriteError, match="write-protected"):
        write_mask(path, labels + 1, Geometry())
    np.testing.assert_array_equal(read_mask(path)[0], labels)


@pytest.mark.parametrize(
    ("name", "words"),
    [("missing/m.nii", "folder does not exist"), ("x" * 300 + ".nii", "name is too long")],
)
def test_impossible_targets_are_named(tmp_path, labels, name, words):
    with pytest.raises(WriteError, match=words):
        write_mask(tmp_path / name, labels, Geometry())
    assert only(tmp_path) == set()


def test_a_folder_in_the_way_is_named(tmp_path, labels):
    (tmp_path / "m.nii").mkdir()
    with pytest.raises(WriteError, match="a folder of that name"):
        write_mask(tmp_path / "m.nii", labels, Geometry())
    assert only(tmp_path) == {"m.nii"}


def test_long_and_foreign_names_are_fine(tmp_path, labels):
    path = tmp_path / ("Maske_größe_脳_" + "x" * 200 + ".nii.gz")
    write_mask(path, labels, Geometry())
    np.testing.assert_array_equal(read_mask(path)[0], labels)


def test_a_link_keeps_pointing_at_the_file_it_names(tmp_path, labels):
    real, link = tmp_path / "real.nii", tmp_path / "link.nii"
    write_mask(real, labels, Geometry())
    try:
        link.symlink_to(real)
    except OSError:
        pytest.skip("this system does not let tests create links")
    write_mask(link, labels + 1, Geometry())
    assert link.is_symlink()
    np.testing.assert_array_equal(read_mask(real)[0], labels + 1)


def test_an_interruption_leaves_no_temporary_file(tmp_path):
    def interrupted(path: Path) -> None:
        path.write_text("half")
        raise KeyboardInterrupt

    (tmp_path / "a.json").write_text("old")
    with pytest.raises(KeyboardInterrupt):
        atomic_write(tmp_path / "a.json", interrupted, lambda path: None)
    assert (tmp_path / "a.json").read_text() == "old"
    assert only(tmp_path) == {"a.json"}


def test_the_file_and_the_rename_reach_the_disk_in_order(tmp_path, monkeypatch):
    events = []
    sync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (events.append("sync"), sync(fd)))
    monkeypatch.setattr(os, "replace", lambda a, b: (events.append("rename"), replace(a, b)))
    atomic_write(
        tmp_path / "a.json",
        lambda path: path.write_text("new") and None,
        lambda path: events.append("verify"),
    )
    folder_sync = [] if os.name == "nt" else ["sync"]
    assert events == ["sync", "verify", "rename", *folder_sync]
    assert (tmp_path / "a.json").read_text() == "new"


def test_folders_that_cannot_be_synced_are_no_failure(tmp_path, monkeypatch):
    sync = os.fsync

    def files_only(descriptor: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.EINVAL, "no")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", files_only)
    atomic_write(tmp_path / "a", lambda p: p.write_text("new") and None, lambda p: None)
    assert (tmp_path / "a").read_text() == "new"


def test_failures_without_words_are_named_by_their_type():
    assert atomic.in_words(ValueError()) == "ValueError"
    assert atomic.in_words(MemoryError()) == "memory ran out"
    assert atomic.in_words(OSError(errno.EIO, "Input/output error")) == "input/output error"
