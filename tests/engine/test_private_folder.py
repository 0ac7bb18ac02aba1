"""Folders with copies of scans: one for each process, none for a process that is gone."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from napari_crii.engine.private_folder import private_folder


def test_what_a_killed_process_left_is_removed_and_what_lives_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    make = "from napari_crii.engine.private_folder import private_folder; print(private_folder())"
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", make], capture_output=True, text=True, env=environment, check=True
    )
    left = Path(done.stdout.strip())
    (left / "0.npy").write_bytes(b"voxels")
    foreign = tmp_path / "napari-crii-of-somebody"
    foreign.mkdir()
    mine = private_folder()
    assert mine.is_dir()
    assert not left.exists()
    assert foreign.exists()
    assert private_folder() != mine
    assert mine.exists()


@pytest.mark.skipif(os.name == "nt", reason="this system keeps rights in another way")
def test_nobody_else_can_enter_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert private_folder().stat().st_mode & 0o077 == 0
