"""The study of ticks: which slices are corrected, what the trainer sees, what is kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from PIL import Image

from napari_crii.benchmark import ticks as module
from napari_crii.benchmark.runs import read_runs
from napari_crii.benchmark.ticks import TickStudy, correction_order, study_ticks
from napari_crii.benchmark.ticks_report import presets_compared, ticks_table
from napari_crii.checkpoint import load_checkpoint, save_checkpoint
from napari_crii.errors import TrainingError
from napari_crii.io import write_map, write_mask
from napari_crii.phantom import make_phantom
from napari_crii.preprocessing import Preprocessing
from napari_crii.snapshot import LabelledSlice
from napari_crii.volume import IntensityStats, Volume
from tests.factories import small_checkpoint


def slices_with(shown: list[int], count: int) -> list[LabelledSlice]:
    """Return slices of which those `shown` show an object."""
    image, weights = np.zeros((1, 4, 4), np.float32), np.ones((4, 4), np.float32)
    stats = IntensityStats(0.0, 1.0, 0.0, 1.0)
    return [
        LabelledSlice(image, np.full((4, 4), int(i in shown)), weights, stats, patient="p")
        for i in range(count)
    ]


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Return a folder of three small scans with masks; two show an object on 16 slices or more."""
    for name in ("images", "labels"):
        (tmp_path / "scans" / name).mkdir(parents=True)
    for number, count in enumerate((26, 26, 12)):
        volume, mask = make_phantom((count, 32, 32), seed=number)
        path = tmp_path / "scans" / "images" / f"s{number}.nii.gz"
        write_map(path, volume.array, volume.geometry)
        write_mask(tmp_path / "scans" / "labels" / path.name, mask, volume.geometry)
    return tmp_path / "scans"


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a tick take two steps."""
    monkeypatch.setattr(module, "FIRST_RUN", replace(module.FIRST_RUN, iterations=2, batch=2))
    monkeypatch.setattr(module, "usual_config", lambda _: module.FIRST_RUN)


def plan_of(folder: Path, other: Path, /, **changes: Any) -> TickStudy:
    settings = {
        "images": folder / "images", "labels": folder / "labels", "groups": None,
        "classes": ("lesion",), "recipe": Preprocessing(scope="volume"), "other": other,
        "seeds": (0,), "scans": 1, "tested": 1, "crop": 32,
    }  # fmt: skip
    return TickStudy(**{**settings, **changes})


def test_corrected_slices_lie_as_far_apart_as_can_be() -> None:
    shown = list(range(3, 23))
    order = correction_order(slices_with(shown, 30), 8, np.random.default_rng(0))
    assert len(set(order)) == 8
    assert set(order) <= set(shown)
    for place in range(1, 8):
        gap = min(abs(order[place] - j) for j in order[:place])
        best = max(min(abs(i - j) for j in order[:place]) for i in shown)
        assert gap == best


def test_too_few_slices_with_an_object_are_refused() -> None:
    with pytest.raises(TrainingError, match="shows an object on 15 slices: 16 are needed"):
        correction_order(slices_with(list(range(15)), 40), 8, np.random.default_rng(0))


def test_the_trainer_sees_corrections_of_this_round_as_fresh_and_nothing_of_the_rest() -> None:
    slices = [
        replace(s, image=s.image + i, labels=s.labels * i)
        for i, s in enumerate(slices_with(list(range(20)), 20))
    ]
    snapshot = module._snapshot(slices, [5, 9, 2, 11, 0, 1, 3, 4], 4)
    assert [s.labels[0, 0] for s in snapshot.slices] == [5, 9, 2, 11]
    assert [s.replay for s in snapshot.slices] == [True, True, False, False]
    assert all(s.weights.all() for s in snapshot.slices)
    assert sorted(s.image[0, 0, 0] for s in snapshot.unlabelled) == sorted(
        set(range(20)) - {5, 9, 2, 11}
    )


@pytest.mark.usefixtures("short")
def test_every_start_and_preset_is_scored_after_each_round_and_kept(
    scans: Path, tmp_path: Path
) -> None:
    other, out = tmp_path / "other.safetensors", tmp_path / "runs.jsonl"
    save_checkpoint(other, small_checkpoint(classes=3))
    runs = study_ticks(plan_of(scans, other), out)
    assert {(r["start"], r["preset"]) for r in runs} == {
        (s, p) for s in ("none", "other", "own", "grown") for p in ("sup", "plus")
    }
    for run in runs:
        assert run["corrected"] == [0, 1, 2, 4, 8]
        assert len(run["rest"]) == len(run["others"]) == 5
        assert all(0 <= value <= 1 for value in (*run["rest"], *run["others"]))
    before = {r["start"]: r["rest"][0] for r in runs}
    assert all(r["rest"][0] == before[r["start"]] for r in runs)
    assert study_ticks(plan_of(scans, other), out) == runs == read_runs(out)


@pytest.mark.usefixtures("short")
def test_the_command_writes_runs_and_a_table(
    scans: Path, tmp_path: Path, run: Callable[..., Result]
) -> None:
    out = tmp_path / "ticks.jsonl"
    options = (
        "--seeds", "0", "--scans", "1", "--tested", "1", "--size", "32", "--scope", "volume",
        "--starts", "none", "--presets", "sup,plus", "--json",
    )  # fmt: skip
    done = run(
        "ticks", "--images", scans / "images", "--labels", scans / "labels", "--out", out, *options
    )
    assert done.exit_code == 0, done.output
    assert len(json.loads(done.stdout)["found"]) == 2
    assert "| none" in out.with_suffix(".md").read_text()
    with Image.open(json.loads(done.stdout)["plot"]) as plot:
        # A line per preset and number of corrected slices.
        assert plot.size[1] > 24 * 2 * 5


def test_a_checkpoint_of_the_task_itself_is_no_other_one(scans: Path, tmp_path: Path) -> None:
    same = tmp_path / "same.safetensors"
    save_checkpoint(same, small_checkpoint(classes=2))
    learnt = tuple(c.name for c in load_checkpoint(same).classes)
    with pytest.raises(TrainingError, match="has the classes of the task itself"):
        study_ticks(plan_of(scans, same, classes=learnt), tmp_path / "runs.jsonl")
    assert not (tmp_path / "runs.jsonl").exists()


def test_unknown_starts_and_too_few_patients_are_refused(scans: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="there is no start 'elsewhere'"):
        plan_of(scans, tmp_path, starts=("elsewhere",))
    with pytest.raises(TrainingError, match="3 scans with an object on 16 slices"):
        study_ticks(plan_of(scans, tmp_path, scans=3, starts=("none",)), tmp_path / "runs.jsonl")


def test_the_table_says_what_the_first_tick_and_the_preset_change() -> None:
    def made(preset: str, scan: int, rest: list[float]) -> dict[str, Any]:
        return {
            "start": "own", "preset": preset, "seed": 0, "scan": scan, "corrected": [0, 1, 2],
            "rest": rest, "others": [0.5, 0.5, 0.5],
        }  # fmt: skip

    runs = [
        made("sup", 0, [0.5, 0.6, 0.7]),
        made("sup", 1, [0.6, 0.58, 0.6]),
        made("plus", 0, [0.5, 0.7, 0.8]),
        made("plus", 1, [0.6, 0.68, 0.7]),
    ]
    row = ticks_table(runs).splitlines()[2]
    assert "0.550" in row
    assert "+4.0 (-2.0 to +10.0)" in row
    assert "50 %" in row
    assert presets_compared(runs) == ["From own: plus - sup +10.0 (+10.0 to +10.0) Dice points."]


def test_the_study_reads_a_scan_as_its_slices(scans: Path, tmp_path: Path) -> None:
    by_patient = module._read(plan_of(scans, tmp_path))
    volume = make_phantom((26, 32, 32), seed=0)[0]
    assert isinstance(volume, Volume)
    assert {len(slices) for slices in by_patient.values()} == {26, 12}
    assert all(s.weights.all() for slices in by_patient.values() for s in slices)
