"""The window's latency, in a process of its own: it opens, measures, and leaves nothing behind."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from napari_crii.benchmark._partner import Partner
from napari_crii.checkpoint import save_checkpoint
from napari_crii.io.write import write_map
from napari_crii.phantom import make_phantom
from tests.factories import small_checkpoint

pytestmark = [pytest.mark.gui, pytest.mark.slow, pytest.mark.timeout(600)]

SIZE = ("--window-size", "1280x800")


@pytest.mark.alone
def test_a_window_and_its_training_are_measured(tmp_path: Path) -> None:
    volume, _ = make_phantom((6, 128, 160))
    scan, weights = tmp_path / "scan.nii.gz", tmp_path / "w.safetensors"
    write_map(scan, volume.array, volume.geometry)
    # A small network and a short hand: a test machine may be slow.
    save_checkpoint(weights, small_checkpoint())
    parts = ("--part", "pauses,window,training", "--tick", "1", "--repeats", "2", "--seconds", "0")
    report = measured(*parts, "--scan", str(scan), "--checkpoint", str(weights), *SIZE)
    untouched = report["pauses"]
    assert untouched.keys() == {"opening", "proposing", "learning"}
    longest = max(untouched[name]["longest_ms"] for name in ("proposing", "learning"))
    assert report["pause_ms"] == longest >= report["pause_p99_ms"] > 0
    phases = report["phases"]
    assert phases.keys() == {"opening", "proposing", "learning", "bare", "resting", "rounds"}
    assert all(phase["longest_ms"] >= phase["p99_ms"] > 0 for phase in phases.values())
    assert report["event_loop_gap_ms"] == max(
        phases[name]["longest_ms"] for name in ("proposing", "learning", "rounds")
    )
    assert 0 < report["event_loop_p99_ms"] <= report["event_loop_gap_ms"]
    ratios = (
        "paint_p95_ratio", "proposal_ratio", "proposal_painting_ratio", "training_ratio",
        "training_painting_ratio", "training_painting_over_rest",
    )  # fmt: skip
    for name in ratios:
        low, high = report[f"{name}_interval"]
        assert 0 < low <= report[name] <= high
    assert all(kind["count"] > 0 for kind in report["latencies"].values())
    assert report["scan"]["slices"] == 6
    assert report["window"] == {kind: [1280, 800] for kind in report["window"]}


def measured(*options: str) -> dict[str, Any]:
    """Return the report of the command."""
    command = [sys.executable, "-m", "napari_crii.cli", "benchmark", "latency", "--json"]
    # Its end is awaited until the last process that holds its standard output is gone.
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=560)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_a_bare_window_has_the_size_that_is_asked_for_and_shows_what_the_hand_draws() -> None:
    # Not where Qt is absent and this file is collected all the same.
    from napari_crii.benchmark.window.bare import BareWindow, Question

    volume, _ = make_phantom((6, 32, 40))
    with closing(Partner(BareWindow, volume, (900, 700), (2, 4))) as bare:
        answer = bare.ask(Question(2.0, as_many=True))
    assert answer.window == (900, 700)
    assert 300 < answer.canvas[0] < 900
    assert len(answer.latencies["paint"]) > 0
    assert min(answer.latencies["paint"]) > 0
    assert answer.gaps.shape[1] == 2


def test_strokes_are_measured_over_those_on_a_bare_layer(tmp_path: Path) -> None:
    volume, _ = make_phantom((6, 32, 40))
    scan = tmp_path / "scan.nii.gz"
    write_map(scan, volume.array, volume.geometry)
    report = measured("--part", "stroke", "--scan", str(scan), "--repeats", "2")
    more = report["stroke_p95_ms"] - report["bare_stroke_p95_ms"]
    assert report["stroke_extra_ms"] == pytest.approx(more, abs=0.002)
    assert 0 < report["acknowledged_median_ms"] <= report["acknowledged_longest_ms"]
    low, high = report["stroke_extra_interval_ms"]
    assert low <= high
    assert report["layer"] == [6, 32, 40]
    counts = {name: kind["count"] for name, kind in report["strokes"].items()}
    assert counts == {"bare": 8, "bare, first": 2, "ours": 8, "ours, first": 2}
    assert all(kind["p95_ms"] >= kind["median_ms"] > 0 for kind in report["strokes"].values())
