"""Methods side by side: the same patients and crops, finished runs kept, a table and a plot."""

from __future__ import annotations

import json
import re
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
from napari_crii.benchmark.ssl_report import (
    dice_interval,
    margins_table,
    paired_difference,
    ssl_plot,
    ssl_table,
)
from napari_crii.cli._training_options import LARGEST_SEED
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


def fake(method: str, draw: int, fold: int, patients: dict[str, float]) -> dict[str, Any]:
    value = float(np.mean(list(patients.values())))
    measures = dict.fromkeys(("hard_dice", "boundary_dice", "nsd1", "nsd2"), 0.5)
    return {
        "method": method, "draw": draw, "fold": fold, "budget": 1.0, "dice": value, "hd95": 3.0,
        "patients": patients, "seconds_per_iteration": 0.1, "peak_mb": None, **measures,
    }  # fmt: skip


def test_differences_are_paired_by_patient_and_draw() -> None:
    ours = [fake("plus", d, 0, {"a": 0.9, "b": 0.8}) for d in (0, 1)]
    theirs = [fake("bcp", 0, 0, {"b": 0.7, "a": 0.8}), fake("bcp", 1, 0, {"a": 0.8, "b": 0.7})]
    assert paired_difference(ours, theirs) == pytest.approx((0.1, 0.1, 0.1))
    theirs[1] = fake("bcp", 1, 0, {"a": 0.3, "b": 0.7})
    mean, low, high = paired_difference(ours, theirs) or (0, 0, 0)
    assert mean == pytest.approx(0.225)
    assert (low, high) == pytest.approx((0.1, 0.35))
    assert paired_difference(ours, [fake("bcp", 2, 0, {"a": 0.5})]) is None


def test_margins_are_given_by_every_measure_that_the_runs_hold_by_patient() -> None:
    def measured(method: str, dice: float, nsd: float) -> dict[str, Any]:
        more = {"patients_nsd1": {"a": nsd, "b": nsd}, "patients_hard_dice": {"b": dice / 2}}
        return {**fake(method, 0, 0, {"a": dice, "b": dice}), **more}

    runs = [measured("bcp", 0.8, 0.2), measured("plus", 0.9, 0.5), fake("old", 0, 0, {"a": 0.9})]
    rows = [
        [cell.strip() for cell in row.split("|")[1:-1]] for row in margins_table(runs).splitlines()
    ]
    assert rows[0] == ["plus - method", "Dice", "low contrast", "NSD 1"]
    same = ["+0.100 (+0.100 to +0.100)", "+0.050 (+0.050 to +0.050)", "+0.300 (+0.300 to +0.300)"]
    assert rows[2:] == [["bcp", *same]]
    assert margins_table([fake("plus", 0, 0, {"a": 0.9}), runs[0]]) == ""


def test_the_table_weighs_folds_by_their_patients_and_spreads_over_draws() -> None:
    runs = [
        fake("plus", 0, 0, {"a": 1.0, "b": 1.0}), fake("plus", 0, 1, {"c": 0.4}),
        fake("plus", 1, 0, {"a": 0.6, "b": 0.6}), fake("plus", 1, 1, {"c": 0.6}),
    ]  # fmt: skip
    row = [cell.strip() for cell in ssl_table(runs).splitlines()[2].split("|")[1:-1]]
    spread = f"{np.std([0.8, 0.6], ddof=1):.3f}"
    assert row[:5] == ["plus", "4", "0.700", "0.500 to 0.800", spread]
    # Of three patients in each draw, drawn with repeats: draw 1 is 0.6 whoever is drawn.
    assert dice_interval(runs) == pytest.approx((0.7, 0.5, 0.8))
    assert ssl_plot(runs).size[1] > 50


def command(data: Path, out: Path, *more: object) -> tuple[object, ...]:
    return (
        "ssl", "--images", data / "images", "--labels", data / "labels", "--iterations", 1,
        "--size", 32, "--batch", 2, "--fold-count", 2, "--seeds", "0", "--out", out, *more,
    )  # fmt: skip


def test_the_command_leaves_runs_table_and_plot(data: Path, tmp_path: Path, run) -> None:
    out = tmp_path / "new" / "few.jsonl"
    result = run(*command(data, out, "--methods", "mean_shape,plus", "--folds", "0"))
    assert result.exit_code == 0, result.output
    assert "| mean_shape |" in result.stdout
    page = out.with_suffix(".md").read_text()
    assert "# Few labels on discs: foreground" in page
    assert "plus - method" in page
    with Image.open(out.with_suffix(".png")) as plot:
        assert plot.size[0] > 400
    found = json.loads(
        run(*command(data, out, "--methods", "mean_shape,plus", "--folds", "0", "--json")).stdout
    )
    assert found["found"] == read_runs(out)


@pytest.mark.parametrize("name", ["README.md", "README.png"])
def test_a_file_that_is_no_report_is_not_replaced(
    data: Path, tmp_path: Path, run, name: str
) -> None:
    own = tmp_path / name
    own.write_text("# What I found\n")
    result = run(*command(data, tmp_path / "README.jsonl", "--methods", "mean_shape"))
    assert result.exit_code == 2
    assert f"{own} would be replaced, but is no report of a benchmark" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir() if path != data] == [name]
    assert own.read_text() == "# What I found\n"


def test_volumes_in_colour_are_cut_into_slices_grouped_by_file(tmp_path: Path, run, rng) -> None:
    data = tmp_path / "colour"
    for name in ("images", "labels"):
        (data / name).mkdir(parents=True)
    for i in range(4):
        rgb = rng.integers(0, 255, (40, 24, 3), dtype=np.uint8)
        Image.fromarray(rgb).save(data / "images" / f"{i}.png")
        mask = np.zeros((40, 24), np.uint8)
        mask[12:24, 6:12], mask[12:24, 12:18] = 1, 2
        Image.fromarray(mask).save(data / "labels" / f"{i}.png")
    options = ("--classes", "a,b", "--methods", "unimatch", "--folds", "1")
    result = run(*command(data, tmp_path / "c.jsonl", *options))
    assert result.exit_code == 0, result.output
    assert all(len(r["dice_per_class"]) == 2 for r in read_runs(tmp_path / "c.jsonl"))


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


def test_the_largest_seed_can_be_trained_from(data: Path, tmp_path: Path, run) -> None:
    options = ("--methods", "supervised_weak", "--folds", "0", "--seeds", LARGEST_SEED)
    result = run(*command(data, tmp_path / "few.jsonl", *options))
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("name", ["ssl", "errors"])
def test_the_help_says_that_the_batch_decides_what_a_step_is(run, name: str) -> None:
    said = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", run(name, "--help").stdout).split())
    assert "Steps of --batch labelled crops" in said


def test_one_image_cannot_be_dealt(data: Path, tmp_path: Path, run) -> None:
    for kind in ("images", "labels"):
        for path in list((data / kind).iterdir())[1:]:
            path.unlink()
    result = run(*command(data, tmp_path / "few.jsonl", "--methods", "mean_shape"))
    assert result.exit_code == 2
    assert len(result.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "few.jsonl").exists()


def test_what_the_command_cannot_do_is_one_sentence(data: Path, tmp_path: Path, run) -> None:
    out = tmp_path / "few.jsonl"
    for more, said in (
        (("--methods", "best"), "no method 'best'"),
        (("--folds", "2"), "no fold 2"),
        (("--folds", "x"), "folds 'x' are not different whole numbers from 0 to 4294967295"),
        (("--seeds", "99999999999999999999"), "seeds '99999999999999999999' are not different"),
        (("--seeds", "4294967296"), "seeds '4294967296' are not different whole numbers from 0"),
        (("--seeds", "9" * 5000), "are not different whole numbers from 0 to 4294967295"),
        (("--seeds", "1,01"), "seeds '1,01' are not different whole numbers"),
        (("--seeds", "-1"), "seeds '-1' are not different whole numbers from 0 to 4294967295"),
        (("--fold-count", 10**12), "value for '--fold-count'"),
        (("--labelled", 2), "share 2.0 does not lie"),
        (("--out", tmp_path / "few.png"), "is the name of table or plot"),
    ):
        result = run(*command(data, out, "--methods", "mean_shape", *more))
        assert result.exit_code == 2, result.output
        assert said in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1
