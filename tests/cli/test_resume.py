"""`predict --resume`: what is complete and unchanged is not computed again, all else is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from napari_crii import scan_prediction

Predict = Callable[..., Any]


@pytest.fixture
def out(run, scan_file: Path, checkpoint: Path, tmp_path: Path) -> Path:
    """Return the folder of a finished run."""
    folder = tmp_path / "out"
    arguments = ("-o", folder, "--checkpoint", checkpoint, "--views", 1)
    assert run("predict", scan_file, *arguments).exit_code == 0
    return folder


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that grows by the name of each scan that is computed."""
    names: list[str] = []
    predict_scan = scan_prediction.predict_scan

    def counted(predictor: Any, volume: Any, *rest: Any) -> Any:
        names.append(volume.name)
        return predict_scan(predictor, volume, *rest)

    monkeypatch.setattr(scan_prediction, "predict_scan", counted)
    return names


@pytest.fixture
def again(run, checkpoint: Path, out: Path) -> Predict:
    def call(*scans: Path, views: int = 1, weights: Path = checkpoint, more: str = "") -> Any:
        options = ("-o", out, "--checkpoint", weights, "--views", views, "--resume", "--json")
        return run("predict", *scans, *options, *more.split())

    return call


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_finished_scan_is_skipped_and_reported_as_before(
    again: Predict, out: Path, scan_file: Path, tmp_path: Path, computed: list[str]
) -> None:
    other = tmp_path / "two.nii.gz"
    shutil.copy(scan_file, other)
    before = contents(out)
    result = again(scan_file, other)
    assert result.exit_code == 0, result.output
    first, second = json.loads(result.stdout)
    assert computed == ["two"]
    assert {name: contents(out)[name] for name in before} == before
    assert list(first) == list(second)
    assert first["patches"] == second["patches"]
    assert (first["scan"], second["scan"]) == (str(scan_file), str(other))
    assert "one.nii.gz: done before" in result.stderr


@pytest.mark.parametrize("harm", ["changed", "gone", "note gone", "note cut", "note odd"])
def test_what_is_not_complete_and_unchanged_is_never_taken_for_done(
    again: Predict, out: Path, scan_file: Path, computed: list[str], harm: str
) -> None:
    mask, done = out / "one_mask.nii.gz", out / "one_done.json"
    match harm:
        case "changed":
            mask.write_bytes(mask.read_bytes()[:-1] + b"x")
        case "gone":
            mask.unlink()
        case "note gone":
            done.unlink()
        case "note cut":
            done.write_text(done.read_text()[:-20])
        case "note odd":
            done.write_text("[1, 2]")
    before = contents(out)
    refused = again(scan_file)
    assert refused.exit_code == 2
    assert "--overwrite" in refused.stderr
    assert json.loads(refused.stdout) == []
    assert contents(out) == before
    assert computed == []
    assert again(scan_file, more="--overwrite").exit_code == 0
    assert computed == ["one"]
    assert again(scan_file).exit_code == 0
    assert computed == ["one"]


def test_other_weights_views_or_voxels_are_another_proposal(
    again: Predict, out: Path, scan_file: Path, two_classes: Path, tmp_path: Path
) -> None:
    from napari_crii.io import read_scan, write_map

    changed = tmp_path / "one.nii.gz"
    scan = read_scan(scan_file)
    write_map(changed, scan.array + 1, scan.geometry)
    for result in (
        again(scan_file, views=2),
        again(scan_file, weights=two_classes),
        again(changed),
    ):
        assert result.exit_code == 2
        assert "--overwrite" in result.stderr


def test_the_note_names_no_path_and_no_scan(out: Path, scan_file: Path) -> None:
    text = (out / "one_done.json").read_text()
    assert str(scan_file.parent) not in text
    assert str(out) not in text
