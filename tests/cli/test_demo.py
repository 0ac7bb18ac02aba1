"""`demo` without a window: what it writes, what it says, and what it admits."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from napari_crii.classes import numbered_classes
from napari_crii.cli._headless import most_probable, run_headless, unseen_dice
from napari_crii.demo import SEED_SLICES, DemoTask, mni_task
from napari_crii.errors import CriiError
from napari_crii.io import read_mask
from napari_crii.phantom import make_phantom
from napari_crii.scan_prediction import ScanPrediction

demo = sys.modules["napari_crii.cli.demo"]


@pytest.fixture(scope="module")
def task() -> DemoTask:
    """Return a task of seconds: a phantom, its organ, two seeds, one step."""
    volume, mask = make_phantom((6, 32, 40))
    organ = (mask > 0).astype(np.uint8)
    return DemoTask(
        volume=volume,
        classes=numbered_classes(["organ"]),
        seeds={2: organ[2], 4: organ[4]},
        truth=organ,
        iterations=1,
        remark="One phantom.",
    )


def test_without_a_display_it_says_so_and_writes_all_files(
    run, scan_file: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "has_display", lambda: False)
    out = tmp_path / "demo-output"
    out.mkdir()
    (out / "contact_sheet.png").write_bytes(b"of an earlier demonstration")
    result = run("demo", scan_file, "-o", out, "--checkpoint", checkpoint)
    assert result.exit_code == 0, result.output
    assert result.stderr.splitlines()[0] == "Running headless: there is no display."
    assert sorted(p.name for p in out.iterdir()) == [
        "contact_sheet.png", "one_coarse.nii.gz", "one_disagreement.nii.gz",
        "one_mask.nii.gz", "one_refined.nii.gz",
    ]  # fmt: skip
    for path in out.iterdir():
        assert str(path) in result.stdout


def test_json_is_the_record_of_predict_and_more(
    as_json, scan_file: Path, checkpoint: Path, tmp_path: Path
) -> None:
    report = as_json("demo", scan_file, "-o", tmp_path, "--checkpoint", checkpoint, "--headless")
    assert list(report)[:2] == ["scan", "mask"]
    assert report["dice_unseen"] is None
    assert report["learning_seconds"] == 0
    assert Path(report["contact_sheet"]).is_file()


def test_it_learns_from_the_seeds_and_scores_the_rest(task: DemoTask, tmp_path: Path) -> None:
    outcome = run_headless(task, tmp_path, "phantom")
    assert outcome.dice is not None
    assert outcome.dice.slices == 4
    assert outcome.learning_seconds > 0
    read_mask(outcome.files.mask, like=task.volume)
    with Image.open(outcome.sheet) as sheet:
        assert sheet.mode == "RGB"
        assert min(sheet.size) > 200


def test_the_learning_demo_says_what_it_does_not_prove(
    run, task: DemoTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import napari_crii.demo as tasks

    monkeypatch.setattr(tasks, "mni_task", lambda iterations: task)
    result = run("demo", "--headless", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "Dice on the 4 slices it never saw: coarse 0." in result.stdout
    assert "One phantom." in result.stdout


def test_the_dice_leaves_the_seeds_out(task: DemoTask) -> None:
    assert task.truth is not None
    mask = task.truth.copy()
    for index in task.seeds:
        mask[index] = 1 - mask[index]
    perfect = mask[np.newaxis].astype(np.float32)
    prediction = ScanPrediction(mask, perfect, perfect, perfect[0], (), 0.0, "", ())
    score = unseen_dice(prediction, task, task.truth)
    assert (score.coarse, score.refined, score.slices) == (1.0, 1.0, 4)


def test_the_rest_of_the_probability_is_background() -> None:
    foreground = np.array([0.3, 0.6, 0.2, 0.1, 0.1, 0.7]).reshape(2, 1, 1, 3)
    assert most_probable(foreground.astype(np.float32)).ravel().tolist() == [0, 1, 2]


def test_a_window_opens_where_there_is_a_display(
    run, scan_file: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_crii.cli import _window

    shown: list[DemoTask] = []
    monkeypatch.setattr(demo, "has_display", lambda: True)
    monkeypatch.setattr(_window, "show", lambda task: shown.append(task) or 0)
    result = run("demo", scan_file, "-o", tmp_path / "out", "--checkpoint", checkpoint)
    assert result.exit_code == 0
    assert shown[0].checkpoint == checkpoint
    assert not (tmp_path / "out").exists()


def test_without_nilearn_it_says_what_to_install(
    refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    text = refused("demo", "--headless", "-o", tmp_path / "out")
    assert 'pip install "napari-crii[demo]"' in text
    assert not (tmp_path / "out").exists()


def test_the_template_comes_with_three_seeds_of_its_truth() -> None:
    pytest.importorskip("nilearn")
    try:
        template = mni_task()
    except CriiError as error:
        pytest.skip(str(error))
    assert template.volume.slice_axis == 0
    assert tuple(template.seeds) == SEED_SLICES
    assert template.truth is not None
    for index, seed in template.seeds.items():
        assert np.array_equal(seed, template.truth[index])
        assert 500 < seed.sum() < seed.size / 2
    assert "no evidence for patients" in template.remark


def test_json_needs_no_window(
    run, scan_file: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "has_display", lambda: True)
    result = run("demo", scan_file, "-o", tmp_path, "--checkpoint", checkpoint, "--json")
    assert result.stderr.splitlines()[0] == "Running headless: --json asks for it."
    assert json.loads(result.stdout)["scan"] == str(scan_file)


def test_the_demonstration_takes_a_volume_of_a_cine(
    as_json, refused, checkpoint: Path, tmp_path: Path, rng: np.random.Generator
) -> None:
    stacks = rng.integers(0, 900, (20, 24, 3, 2)).astype(np.int16)
    nib.save(nib.Nifti1Image(stacks, np.diag([1, 1, 4, 1.0])), tmp_path / "cine.nii.gz")
    options = ["-o", tmp_path / "out", "--checkpoint", checkpoint, "--headless"]
    assert "holds 2 volumes" in refused("demo", tmp_path / "cine.nii.gz", *options)
    report = as_json("demo", tmp_path / "cine.nii.gz", "--volume-index", 0, *options)
    assert Path(report["mask"]).name == "cine_mask.nii.gz"


def test_the_engine_of_the_window_can_be_a_command(
    run, refused, scan_file: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_crii.cli import _window
    from napari_crii.engine.command import VARIABLE, engine_command, trainer_command

    options = ["-o", tmp_path, "--checkpoint", checkpoint, "--engine"]
    seen: list[tuple[str, ...]] = []

    def show(task: DemoTask) -> int:
        seen.extend([engine_command().words, trainer_command().words])
        return 0

    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.setattr(demo, "has_display", lambda: True)
    monkeypatch.setattr(_window, "show", show)
    command = "ssh 'my host' napari-crii engine"
    assert run("demo", scan_file, *options, command).exit_code == 0
    words = ("ssh", "my host", "napari-crii", "engine")
    assert seen == [words, (*words, "--trainer")]
    assert "no closing quotation" in refused("demo", scan_file, *options, "ssh 'host")
    assert "names no command" in refused("demo", scan_file, *options, " ")
    assert "for a window" in refused("demo", scan_file, *options, "ssh host", "--headless")
