"""Short forms of the fault programs F1, F8, F12 and F13."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from napari_crii.session import human_mask
from tests.faults import f8, f12, f13
from tests.faults.frame import bad_cases

pytestmark = pytest.mark.alone

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(os.name == "nt", reason="this system has no kill -9")
def test_f1_a_killed_process_damages_no_file_and_loses_no_acknowledged_stroke() -> None:
    # A process of its own: forking one that runs threads of libraries may block.
    command = [sys.executable, "-m", "tests.faults.f1", "--count", "30"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "F1: 0/30"


def test_f8_the_session_equals_its_shadow_and_the_replayed_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f8, "RESTART_EVERY", 400)
    assert f8.faults(1600, 1, tmp_path / "p") == []


def test_f8_finds_a_mask_that_heeds_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(human_mask, "_refuse_locked", lambda *arguments: None)
    with pytest.raises(AssertionError, match="changed a locked class"):
        f8.faults(1600, 1, tmp_path / "p")


def test_f12_every_flipped_bit_is_detected() -> None:
    assert bad_cases(f12.check, range(48)) == []


def test_f13_one_of_two_openers_reads_only_and_names_the_other(tmp_path: Path) -> None:
    assert f13.check(0, tmp_path).fault == ""
