"""The window's process holds no torch, even after proposing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from napari_crii.io import write_map

PROGRAM = Path(__file__).with_name("no_torch_in_window.py")
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.gui
@pytest.mark.both
@pytest.mark.timeout(300)
def test_the_process_of_the_window_holds_no_torch_after_proposing(tmp_path, phantom, weights):
    scan = tmp_path / "phantom.nii.gz"
    write_map(scan, phantom.array, phantom.geometry)
    command = [sys.executable, str(PROGRAM), str(scan), str(weights)]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path, "NAPARI_CONFIG": str(tmp_path / "settings.yaml")},
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {"proposed": True, "torch": []}
