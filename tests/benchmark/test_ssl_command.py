"""The command that compares methods: what it leaves, and what it refuses in a sentence."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_crii.benchmark.runs import read_runs
from napari_crii.cli._training_options import LARGEST_SEED


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
