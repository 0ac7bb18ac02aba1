"""Methods side by side: the same patients and crops, finished runs kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from napari_crii.benchmark import errors
from napari_crii.benchmark import ssl as module
from napari_crii.benchmark.errors import compare_scores
from napari_crii.benchmark.few_labels import split_patients
from napari_crii.benchmark.methods import METHODS
from napari_crii.benchmark.runs import read_runs
from napari_crii.benchmark.ssl import BUDGETS, Comparison, build_learner, compare, load_material
from napari_crii.errors import TrainingError
from napari_crii.preprocessing import Preprocessing
from napari_crii.training import TrainingConfig
from napari_crii.training.folder import load_folder
from tests.benchmark.conftest import PATIENTS

RESULTS = Path(__file__).parents[2] / "docs" / "results"
TINY = TrainingConfig(iterations=4, batch=2, crop=32, warmup=1, centred=True)


def plan_of(data: Path, *methods: str, **changes: Any) -> Comparison:
    settings = {
        "images": data / "images", "labels": data / "labels", "groups": data / "groups.csv",
        "classes": ("disc",), "recipe": Preprocessing(), "training": TINY, "methods": methods,
        "draws": (0,), "folds": (0,), "fold_count": 3,
    }  # fmt: skip
    return Comparison(**{**settings, **changes})


def test_a_run_has_a_line_per_budget_with_every_measure(data: Path, tmp_path: Path) -> None:
    runs = compare(plan_of(data, "mean_shape", "bcp"), tmp_path / "runs.jsonl")
    assert [(r["method"], r["budget"]) for r in runs] == [
        (m, b) for m in ("mean_shape", "bcp") for b in BUDGETS
    ]
    fields = {
        "data", "method", "draw", "fold", "labelled", "iterations", "budget", "dice",
        "dice_per_class", "hard_dice", "boundary_dice", "nsd1", "nsd2", "hd95",
        "seconds_per_iteration", "peak_mb", "patients", "patients_nsd1", "patients_hard_dice",
        "settings", "material",
    }  # fmt: skip
    assert all(run.keys() == fields for run in runs)
    assert read_runs(tmp_path / "runs.jsonl") == runs
    assert all(0 <= run["dice"] <= 1 for run in runs)


def test_finished_runs_are_kept_and_half_finished_ones_repeated(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, plan, started = tmp_path / "runs.jsonl", plan_of(data, "supervised_strong"), []
    build = module.build_learner

    def counted(*arguments: Any) -> Any:
        started.append(arguments)
        return build(*arguments)

    monkeypatch.setattr(module, "build_learner", counted)
    first = compare(plan, out)
    assert compare(plan, out) == first
    assert len(started) == 1
    lines = out.read_bytes().splitlines(keepends=True)
    out.write_bytes(b"".join(lines[:2]) + lines[2][:-9])
    again = compare(plan, out)
    assert len(started) == 2
    cost = ("seconds_per_iteration", "peak_mb")
    assert [{k: v for k, v in r.items() if k not in cost} for r in again] == [
        {k: v for k, v in r.items() if k not in cost} for r in first
    ]
    assert len(read_runs(out)) == 3
    compare(plan_of(data, "supervised_strong", draws=(1,)), out)
    assert len(started) == 3


def test_every_method_sees_the_same_labelled_crops(data: Path) -> None:
    plan = plan_of(data, "bcp", "plus")
    split = split_patients(load_material(plan), 0.04, 0, 0, 3)
    batches = [
        build_learner(plan, METHODS[name], split, 7)._sampler.draw()
        for name in ("supervised_strong", "copy_paste", "bcp", "unimatch", "plus")
    ]
    for batch in batches[1:]:
        assert torch.equal(batch.labelled.images, batches[0].labelled.images)
        assert torch.equal(batch.labelled.labels, batches[0].labelled.labels)


def test_the_ceiling_has_all_labels(data: Path) -> None:
    plan = plan_of(data, "full")
    split = split_patients(load_material(plan), 0.04, 0, 0, 3)
    few, full = (
        build_learner(plan, METHODS[name], split, 0)._sampler._labelled._fresh
        for name in ("supervised_strong", "full")
    )
    assert {s.patient for s in few} < {s.patient for s in full}
    assert not {s.patient for s in full} & {s.patient for s in split.tested}


def test_a_method_that_there_is_not_is_refused(data: Path) -> None:
    with pytest.raises(TrainingError, match="no method 'best': the methods are mean_shape, super"):
        plan_of(data, "best")


def test_the_lines_that_are_kept_are_found_again_by_the_same_command() -> None:
    now = plan_of(Path("data"), "plus").settings()
    lines = [
        path.read_text().partition("\n")[0]
        for kind in ("ssl", "ablation", "search", "errors")
        for path in RESULTS.glob(f"{kind}_*.jsonl")
    ]
    assert lines
    for settings in (json.loads(line)["settings"] for line in lines):
        assert settings.keys() == now.keys()
        for part in ("training", "recipe"):
            assert settings[part].keys() == now[part].keys()


def test_pictures_of_other_sizes_are_cut_to_one_field_of_view_and_what_is_lost_is_said(
    data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for kind in ("images", "labels"):
        path = data / kind / "s0.png"
        with Image.open(path) as picture:
            whole = np.array(picture)
        Image.fromarray(np.pad(whole, ((0, 9), (30, 0)), mode="edge")).save(path)
    plan = plan_of(data, "plus", folds=(1,))
    before = load_folder(plan.images, plan.labels, plan.recipe, plan.classes, plan.groups)
    assert len({item.label.shape for item in before}) == 2
    cut = load_material(plan)
    assert {item.label.shape for item in cut} == {(32, 32)}
    lost = 1 - sum(int(s.label.sum()) for s in cut) / sum(int(s.label.sum()) for s in before)
    assert f"{round(100 * lost)} % of the labelled pixels lie outside the central 32" in caplog.text
    assert len(compare(plan, tmp_path / "runs.jsonl")) == 3
    caplog.clear()
    load_material(plan_of(data, training=replace(TINY, crop=96)))
    assert not caplog.text


def test_a_class_that_no_labelled_patient_shows_is_scored_all_the_same(
    data: Path, tmp_path: Path
) -> None:
    plan = plan_of(data, "plus", classes=("a", "b"))
    shown = load_material(replace(plan, classes=("disc",)))
    labelled = {s.patient for s in split_patients(shown, 0.04, 0, 0, 3).labelled}
    for path in sorted((data / "labels").iterdir()):
        with Image.open(path) as picture:
            mask = (np.array(picture) > 0).astype(np.uint8)
        if PATIENTS[int(path.stem[1:])] not in labelled:
            mask[:, 32:] *= 2
        Image.fromarray(mask).save(path)
    split = split_patients(load_material(plan), 0.04, 0, 0, 3)
    assert {int(k) for s in split.labelled for k in s.label.unique()} == {0, 1}
    assert any(bool((s.label == 2).any()) for s in split.tested)
    run = compare(plan, tmp_path / "runs.jsonl")[-1]
    assert len(run["dice_per_class"]) == 2
    assert run["dice"] == pytest.approx(np.mean(run["dice_per_class"]), abs=1e-3)


@pytest.mark.parametrize("compared", [compare, compare_scores])
def test_a_draw_that_cannot_be_is_refused_before_anything_is_trained(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compared: Any
) -> None:
    for name in ("s0", "s1"):
        Image.new("L", (64, 64)).save(data / "labels" / f"{name}.png")
    material = load_material(plan_of(data, "plus"))
    possible: dict[bool, int] = {}
    for draw in range(9):
        try:
            split_patients(material, 0.04, draw, 0, 3)
            possible[True] = draw
        except TrainingError:
            possible[False] = draw
    draws = (possible[True], possible[False])
    monkeypatch.setattr(module, "build_learner", lambda *plan: pytest.fail("it learns"))
    monkeypatch.setattr(errors, "build_learner", lambda *plan: pytest.fail("it learns"))
    with pytest.raises(TrainingError, match=f"draw {draws[1]}, fold 0 show no foreground"):
        compared(plan_of(data, "plus", draws=draws), tmp_path / "runs.jsonl")
    assert not (tmp_path / "runs.jsonl").exists()
