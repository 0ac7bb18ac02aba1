"""Cross-validation: whole patients, each tested once by a stranger, and never computed twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from napari_crii.benchmark import crossval
from napari_crii.benchmark.crossval import CrossValidation, cross_validate
from napari_crii.benchmark.crossval_report import report_table, summary
from napari_crii.benchmark.runs import read_runs
from napari_crii.errors import TrainingError
from napari_crii.metrics import dice
from napari_crii.preprocessing import Preprocessing
from napari_crii.training import TrainingConfig

TINY = TrainingConfig(iterations=3, batch=2, crop=32, warmup=1)


def plan_of(data: Path, **changes: Any) -> CrossValidation:
    folders = {"images": data / "images", "labels": data / "labels", "groups": data / "groups.csv"}
    settings = {"classes": ("disc",), "recipe": Preprocessing(), "training": TINY, "folds": 3}
    return CrossValidation(**{**folders, **settings, **changes})


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    """Return the patients of every training run, as they come."""
    seen: list[set[str]] = []
    fit = crossval.fit

    def spy(network, data, *others):
        seen.append({item.patient for item in data})
        return fit(network, data, *others)

    monkeypatch.setattr(crossval, "fit", spy)
    return seen


def test_each_patient_is_tested_once_and_by_a_stranger(
    data: Path, tmp_path: Path, trained: list[set[str]]
) -> None:
    steps: list[tuple[int, int]] = []
    runs = cross_validate(plan_of(data), tmp_path / "runs.jsonl", lambda *step: steps.append(step))
    tested = [set(run["dice"]) for run in runs]
    assert sorted(p for fold in tested for p in fold) == ["p1", "p2", "p3"]
    assert [learnt | fold for learnt, fold in zip(trained, tested, strict=True)] == [
        {"p1", "p2", "p3"}
    ] * 3
    assert not any(learnt & fold for learnt, fold in zip(trained, tested, strict=True))
    assert [set(run["dice_coarse"]) for run in runs] == tested
    assert all(0 <= d <= 1 for run in runs for d in run["dice"].values())
    assert sum(run["slices"] for run in runs) == 4
    assert steps[-1] == (9, 9)
    assert sorted(set(steps)) == [(i, 9) for i in range(1, 10)]


def test_what_is_finished_is_not_computed_again(
    data: Path, tmp_path: Path, trained: list[set[str]]
) -> None:
    out = tmp_path / "runs.jsonl"
    first = cross_validate(plan_of(data), out)
    assert len(trained) == 3
    assert cross_validate(plan_of(data), out) == first == read_runs(out)
    assert len(trained) == 3

    whole = out.read_bytes()
    out.write_bytes(whole[:-5])
    again = cross_validate(plan_of(data), out)
    assert len(trained) == 4
    assert [run["dice"] for run in again] == [run["dice"] for run in first]


def test_other_settings_and_other_pixels_are_computed(
    data: Path, tmp_path: Path, trained: list[set[str]]
) -> None:
    out = tmp_path / "runs.jsonl"
    cross_validate(plan_of(data), out)
    cross_validate(plan_of(data, seed=1), out)
    assert len(trained) == 6
    Image.fromarray(np.eye(64, dtype=np.uint8)).save(data / "labels" / "s0.png")
    cross_validate(plan_of(data), out)
    assert len(trained) == 9
    assert len(read_runs(out)) == 9


def test_a_failure_keeps_the_folds_before_it(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, run_fold = tmp_path / "runs.jsonl", crossval._run_fold

    def fails_later(*arguments: Any) -> Any:
        if out.exists():
            raise TrainingError("the loss became nan")
        return run_fold(*arguments)

    monkeypatch.setattr(crossval, "_run_fold", fails_later)
    with pytest.raises(TrainingError, match="became nan"):
        cross_validate(plan_of(data), out)
    assert [run["fold"] for run in read_runs(out)] == [0]


def test_several_classes_are_averaged(data: Path, tmp_path: Path) -> None:
    for path in (data / "labels").iterdir():
        labels = np.asarray(Image.open(path)) // 255
        labels[:, 32:] *= 2
        Image.fromarray(labels.astype(np.uint8)).save(path)
    plan = plan_of(data, classes=("left", "right"), recipe=Preprocessing(mirror_axes=(0,)))
    runs = cross_validate(plan, tmp_path / "runs.jsonl")
    assert all(0 <= d <= 1 for run in runs for d in run["dice"].values())


def test_a_patient_s_dice_is_the_mean_over_slices_or_that_of_all_slices_as_one_mask(
    data: Path,
) -> None:
    rng = np.random.default_rng(0)
    plan = plan_of(data, classes=("left", "right"))
    labels, truth = rng.integers(0, 3, (2, 5, 8, 9))
    truth[3] = labels[3] = 0
    overlaps = [crossval._overlap(a, b, plan) for a, b in zip(labels, truth, strict=True)]
    per_slice = [dice(a == k, b == k) for a, b in zip(labels, truth, strict=True) for k in (1, 2)]
    assert crossval._mean_dice(overlaps) == pytest.approx(np.mean(per_slice), abs=1e-4)
    whole = np.mean([dice(labels == k, truth == k) for k in (1, 2)])
    assert crossval._mean_dice([np.sum(overlaps, axis=0)]) == pytest.approx(whole, abs=1e-4)

    one = plan_of(data, classes=("any",))
    assert crossval._mean_dice([crossval._overlap(labels, truth, one)]) == pytest.approx(
        dice(labels > 0, truth > 0), abs=1e-4
    )


def test_mean_spread_and_worst_are_over_patients() -> None:
    runs = [
        {
            "fold": 0,
            "dice": {"b": 0.9, "a": 0.8},
            "dice_coarse": {"b": 0.5, "a": 0.6},
            "dice_whole": {"b": 0.9, "a": 0.9},
        },
        {"fold": 1, "dice": {"c": 0.7}, "dice_coarse": {"c": 0.7}, "dice_whole": {"c": 0.8}},
    ]
    assert summary(runs) == {
        "patients": 3, "mean": 0.8, "spread": 0.1, "worst": 0.7, "worst_patient": "c",
    }  # fmt: skip
    assert summary(runs, "dice_coarse")["worst_patient"] == "b"
    assert report_table(runs).splitlines() == [
        "| patient | fold | refined | coarse | whole patient |",
        "| :------ | ---: | ------: | -----: | ------------: |",
        "| a       |    0 |   0.800 |  0.600 |         0.900 |",
        "| b       |    0 |   0.900 |  0.500 |         0.900 |",
        "| c       |    1 |   0.700 |  0.700 |         0.800 |",
        "| mean    |      |   0.800 |  0.600 |         0.867 |",
        "| spread  |      |   0.100 |  0.100 |         0.058 |",
        "| worst   |      |   0.700 |  0.500 |         0.800 |",
    ]


def test_the_command_leaves_runs_and_a_table(data: Path, tmp_path: Path, run) -> None:
    out = tmp_path / "new" / "discs.jsonl"
    options = (
        "crossval", "--images", data / "images", "--labels", data / "labels",
        "--groups", data / "groups.csv", "--folds", 2, "--iterations", 1, "--out", out,
    )  # fmt: skip
    result = run(*options)
    assert result.exit_code == 0, result.output
    assert "| p2 " in result.stdout
    assert "over 3 patients, worst" in result.stdout
    page = out.with_suffix(".md").read_text()
    assert "# Cross-validation on discs: foreground" in page
    assert "3 patients, 4 slices, 2 folds" in page
    assert "| mean    |" in page
    report = json.loads(run(*options, "--json").stdout)
    assert report["refined"]["patients"] == 3
    assert report["coarse"].keys() == {"patients", "mean", "spread", "worst", "worst_patient"}
    assert report["folds"] == read_runs(out)
    assert (report["runs"], report["table"]) == (str(out), str(out.with_suffix(".md")))
    with Image.open(report["plot"]) as plot:
        assert plot.size[0] > 400
    assert run(*options, "--preset", "faithful").exit_code == 0
    learnt = [found["settings"]["training"]["method"]["intra"] for found in read_runs(out)]
    assert learnt == [0.0, 0.0, 0.1, 0.1]
    other = run(*options, "--preset", "none")
    assert (other.exit_code, "there is no preset 'none'" in other.stderr) == (2, True)


def test_what_the_command_cannot_do_is_one_sentence(data: Path, tmp_path: Path, run) -> None:
    options = (
        "crossval", "--images", data / "images", "--labels", data / "labels",
        "--groups", data / "groups.csv", "--iterations", 1,
    )  # fmt: skip
    damaged = tmp_path / "damaged.jsonl"
    damaged.write_text("not a run\n")
    for out, said in (
        (tmp_path / "t.md", "is the name of table or plot"),
        (damaged, "line 1 is no finished run"),
        (
            tmp_path / "r.jsonl",
            "3 patients cannot be dealt to 5 folds: choose a --folds of at most 3",
        ),
    ):
        result = run(*options, "--out", out)
        assert result.exit_code == 2
        assert said in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1
