"""The window's latency, in a process of its own: it opens, measures, and leaves nothing behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from napari_crii.io.write import write_map
from napari_crii.phantom import make_phantom

pytestmark = [pytest.mark.gui, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.mark.alone
def test_a_window_is_measured_and_closed(tmp_path: Path) -> None:
    volume, _ = make_phantom((6, 32, 40))
    scan = tmp_path / "scan.nii.gz"
    write_map(scan, volume.array, volume.geometry)
    command = [sys.executable, "-m", "napari_crii.cli", "benchmark", "latency"]
    options = ["--part", "window", "--scan", str(scan), "--tick", "1", "--scroll", "--json"]
    # Its end is awaited until the last process that holds its standard output is gone.
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    phases = report["phases"]
    assert phases.keys() == {"bare", "opening", "proposing", "learning"}
    assert all(phase["longest_ms"] >= phase["p99_ms"] > 0 for phase in phases.values())
    assert report["event_loop_gap_ms"] == max(
        phases[name]["longest_ms"] for name in ("proposing", "learning")
    )
    assert 0 < report["event_loop_p99_ms"] <= report["event_loop_gap_ms"]
    assert report["scrolling"] is True
    assert report["scan"]["slices"] == 6


def test_strokes_are_measured_over_those_on_a_bare_layer(tmp_path: Path) -> None:
    volume, _ = make_phantom((6, 32, 40))
    scan = tmp_path / "scan.nii.gz"
    write_map(scan, volume.array, volume.geometry)
    command = [sys.executable, "-m", "napari_crii.cli", "benchmark", "latency"]
    options = ["--part", "stroke", "--scan", str(scan), "--repeats", "2", "--json"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    more = report["stroke_p95_ms"] - report["bare_stroke_p95_ms"]
    assert report["stroke_extra_ms"] == pytest.approx(more, abs=0.002)
    low, high = report["stroke_extra_interval_ms"]
    assert low <= high
    assert report["layer"] == [6, 32, 40]
    counts = {name: kind["count"] for name, kind in report["strokes"].items()}
    assert counts == {"bare": 8, "bare, first": 2, "ours": 8, "ours, first": 2}
    assert all(kind["p95_ms"] >= kind["median_ms"] > 0 for kind in report["strokes"].values())
