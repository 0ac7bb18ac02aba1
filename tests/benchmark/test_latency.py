"""Latency: that works alternate, that ratios are of one round, and what the report holds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from napari_crii.benchmark.latency import input_batch, slice_latency
from napari_crii.benchmark.ratios import Ratio, alternate
from napari_crii.checkpoint import save_checkpoint
from napari_crii.inference import Predictor
from napari_crii.io.write import write_map
from napari_crii.networks import CRIINet
from napari_crii.phantom import make_phantom
from tests.factories import noise_scan, small_checkpoint


@pytest.fixture
def scan_and_weights(tmp_path: Path) -> tuple[object, ...]:
    volume, _ = make_phantom((6, 32, 40))
    write_map(tmp_path / "scan.nii.gz", volume.array, volume.geometry)
    save_checkpoint(tmp_path / "w.safetensors", small_checkpoint())
    return ("--scan", tmp_path / "scan.nii.gz", "--checkpoint", tmp_path / "w.safetensors")


def test_works_alternate_forwards_and_backwards() -> None:
    done: list[str] = []
    works = {name: (lambda n=name: done.append(n)) for name in "ab"}
    times = iter(range(100))
    seconds = alternate([works] * 3, clock=lambda: float(next(times)))
    assert "".join(done) == "ab" + "ab" + "ba" + "ab"
    assert {name: list(s) for name, s in seconds.items()} == {"a": [1, 1, 1], "b": [1, 1, 1]}


def test_a_ratio_compares_within_each_round() -> None:
    passes = np.array([1.0, 10.0, 2.0, 5.0])
    ratio = Ratio.of(1.5 * passes, passes, np.random.default_rng(0))
    assert (ratio.median, ratio.low, ratio.high) == (1.5, 1.5, 1.5)
    spread = Ratio.of(passes, np.ones(4), np.random.default_rng(0))
    assert spread.low < spread.median == 3.5 < spread.high


def test_a_ratio_of_quantiles_pools_the_rounds() -> None:
    rng = np.random.default_rng(0)
    bare = [rng.exponential(size=n) for n in (30, 50, 40)]
    ours = [1.25 * times for times in bare]
    ratio = Ratio.of_quantiles(ours, bare, 0.95, rng)
    assert (ratio.median, ratio.low, ratio.high) == pytest.approx((1.25, 1.25, 1.25))
    slow = [np.full(10, 2.0), np.full(10, 4.0)]
    ratio = Ratio.of_quantiles(slow, [np.ones(3), np.ones(7)], 0.95, rng)
    assert (ratio.low, ratio.median, ratio.high) == (2, 4, 4)
    assert ratio.named("x") == {"x": 4, "x_interval": [2, 4]}


def test_the_bare_loop_takes_steps_and_counts_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch.optim import AdamW

    from napari_crii.benchmark.bare_loop import make_bare_loop

    taken: list[None] = []
    step = AdamW.step
    monkeypatch.setattr(AdamW, "step", lambda *a: (taken.append(None), step(*a))[1])
    save_checkpoint(tmp_path / "w.safetensors", small_checkpoint())
    seen: list[int] = []
    forward = CRIINet.forward
    monkeypatch.setattr(
        CRIINet, "forward", lambda n, image: (seen.append(image.shape[-1]), forward(n, image))[1]
    )
    rate = make_bare_loop(tmp_path / "w.safetensors", (30, 40), None)
    times = iter((10.0, 14.0))
    monkeypatch.setattr("napari_crii.benchmark.bare_loop.time.perf_counter", lambda: next(times))
    assert rate(2) == 0.5
    # One more, for what is set up once; crops as a tick takes them from such slices.
    assert len(taken) == 3
    assert set(seen) == {64}


def test_the_passes_are_those_of_the_proposal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bare network must see what it sees for a proposal: every view, at its resolution."""
    checkpoint = small_checkpoint(pixel_mm=1.5)
    predictor, scan = Predictor(checkpoint), noise_scan()
    seen: list[np.ndarray] = []
    checkpoint.network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].numpy()))
    predictor.predict_slice(scan, 1)
    assert seen[0].shape[0] == 4
    np.testing.assert_array_equal(seen[0], input_batch(predictor, scan, 1).numpy())


def test_ratios_come_with_their_intervals() -> None:
    found = slice_latency(Predictor(small_checkpoint()), noise_scan(), repeats=3)
    for name in ("proposal_over_passes", "map_over_passes"):
        low, high = found[f"{name}_interval"]
        assert 0 < low <= found[name] <= high
    assert found["milliseconds"].keys() == {"passes", "proposal", "map"}
    assert found["batch"] == [4, 1, 20, 26]


def test_the_report_holds_ratios_times_and_the_machine(run, scan_and_weights) -> None:
    result = run(
        "latency", "--part", "proposal,volume", "--repeats", 2, *scan_and_weights, "--json"
    )
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    for name in ("proposal_over_passes", "map_over_passes", "volume_over_passes"):
        assert report[name] > 0
        assert len(report[f"{name}_interval"]) == 2
    assert all(ms > 0 for ms in report["milliseconds"].values())
    assert report["repeats"] == 2
    assert report["scan"] == {"shape": [6, 32, 40], "slices": 6}
    assert {"cpu", "cores", "threads", "torch"} <= report["machine"].keys()
    assert "event_loop_gap_ms" not in report


def test_the_same_in_words(run, scan_and_weights) -> None:
    result = run("latency", "--part", "proposal", "--repeats", 2, *scan_and_weights)
    assert result.stdout.startswith("proposal over bare passes")
    assert "map over bare passes" in result.stdout
    assert "torch" in result.stdout


def test_what_cannot_be_measured_is_one_sentence(run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    no_display = "there is no display"
    for part, said in (
        ("window", no_display),
        ("training", no_display),
        ("stroke", no_display),
        ("all", "there is no part 'all'"),
    ):
        refused(run("latency", "--part", part), said)
    for size in ("1580", "1580x", "99x960", "ax900", "900x-900", "900x900x900"):
        refused(run("latency", "--part", "proposal", "--window-size", size), "no size of a window")


def refused(result, said: str) -> None:
    assert result.exit_code == 2
    assert said in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
