"""Folders in which a process keeps copies of scans while it lives, and no longer."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

import psutil

_PREFIX = "napari-crii-"
_OWNED = re.compile(rf"{_PREFIX}(\d+)-")


def private_folder() -> Path:
    """Make a folder of this process that no other user can enter.

    Those of processes that are gone are removed: a window that was killed could not do that, and
    voxels of a patient lie in it.
    """
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        owner = _OWNED.match(folder.name)
        if owner and not psutil.pid_exists(int(owner[1])):
            shutil.rmtree(folder, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
