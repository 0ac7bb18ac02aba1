"""Small disks in memory, which fill up, where the system lets tests mount them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def mount(folder: Path, options: str) -> bool:
    """Mount a disk in memory at a folder, or remount it; False where that is not allowed."""
    if shutil.which("mount") is None:
        return False
    command: list[str | Path] = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder]
    return subprocess.run(command, capture_output=True).returncode == 0


def unmount(folder: Path, *options: str) -> bool:
    """Take a disk away; False if none was there, or if it is in use and not let go by ``-l``."""
    if shutil.which("umount") is None:
        return False
    return subprocess.run(["umount", *options, folder], capture_output=True).returncode == 0


@contextmanager
def small_disk(folder: Path, options: str) -> Iterator[Path]:
    """Make a folder with a disk of its own; the test is skipped where that is not allowed.

    In the end no file on it may still be open.
    """
    folder.mkdir()
    if not mount(folder, options):
        pytest.skip("this machine does not let tests mount a small disk")
    try:
        yield folder
    finally:
        let_go = unmount(folder) or not unmount(folder, "-l")
    assert let_go, "a file on the small disk is still open"
