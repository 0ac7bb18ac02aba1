"""The file of finished runs: what is in it is found, what was cut short is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_crii.benchmark.runs import (
    append_run,
    as_read_back,
    find_run,
    group_kept_or_made,
    kept_or_made,
    read_runs,
)
from napari_crii.errors import CriiError


def test_what_is_appended_is_found_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "runs.jsonl"
    assert read_runs(path) == []
    append_run(path, {"fold": 0, "settings": {"a": [1, 2]}, "dice": 0.5})
    append_run(path, {"fold": 1, "settings": {"a": [1, 2]}, "dice": 0.6})
    runs = read_runs(path)
    assert [run["dice"] for run in runs] == [0.5, 0.6]
    assert find_run(runs, {"fold": 1, "settings": {"a": [1, 2]}}) == runs[1]
    assert find_run(runs, {"fold": 1, "settings": {"a": [1, 3]}}) is None
    assert find_run(runs, {"absent": 0}) is None


@pytest.mark.parametrize("cut", ['{"fold": 1, "di', '{"fold": 1}', '{"fold": "\x80', '{"da', "{"])
def test_a_last_line_that_was_cut_is_no_run_and_is_replaced(tmp_path: Path, cut: str) -> None:
    path = tmp_path / "runs.jsonl"
    append_run(path, {"fold": 0})
    with path.open("a", encoding="latin-1") as stream:
        stream.write(cut)
    assert read_runs(path) == [{"fold": 0}]
    append_run(path, {"fold": 2})
    assert read_runs(path) == [{"fold": 0}, {"fold": 2}]


@pytest.mark.parametrize(
    "foreign",
    [
        b'{"my": "precious results", "pretty": true}',
        b'{"data": [1]}',
        b"\x89PNG\0\1",
        b"words",
        b"\0\0\0",
        b" {",
    ],
)
@pytest.mark.parametrize("before", [b"", b'{"fold": 0}\n'])
def test_what_somebody_else_wrote_is_refused_and_left_as_it_is(
    tmp_path: Path, before: bytes, foreign: bytes
) -> None:
    path = tmp_path / "precious.jsonl"
    path.write_bytes(before + foreign)
    said = rf"precious\.jsonl: line {2 if before else 1} is no finished run"
    with pytest.raises(CriiError, match=said):
        read_runs(path)
    with pytest.raises(CriiError, match=said):
        append_run(path, {"fold": 1})
    assert path.read_bytes() == before + foreign


@pytest.mark.parametrize(
    "line", [b"{", b"[1]", b"\xff\xfe", b"", b'{"dice": NaN}', b'{"a": -Infinity}', b"[" * 9**6]
)
def test_a_damaged_line_is_refused_by_its_number(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "runs.jsonl"
    append_run(path, {"fold": 0})
    path.write_bytes(path.read_bytes() + line + b"\n")
    with pytest.raises(CriiError, match=r"runs\.jsonl: line 2 is no finished run"):
        read_runs(path)


def test_a_run_that_is_no_json_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    append_run(path, {"fold": 0})
    with pytest.raises(ValueError, match="not JSON compliant"):
        append_run(path, {"dice": float("nan")})
    assert read_runs(path) == [{"fold": 0}]


def test_a_finished_run_is_kept_and_another_is_made_and_appended(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    append_run(path, {"fold": 0, "dice": 0.5})
    finished, done = read_runs(path), []

    def work() -> dict[str, float]:
        done.append(1)
        return {"dice": 0.6}

    assert kept_or_made(path, finished, {"fold": 0}, work) == {"fold": 0, "dice": 0.5}
    assert not done
    assert kept_or_made(path, finished, {"fold": 1}, work) == {"fold": 1, "dice": 0.6}
    assert read_runs(path) == [*finished, {"fold": 1, "dice": 0.6}]


def test_settings_with_tuples_are_found_as_they_are_read_back(tmp_path: Path) -> None:
    settings = as_read_back({"axes": (0, 1), "size": None})
    append_run(tmp_path / "runs.jsonl", {"settings": settings})
    assert find_run(read_runs(tmp_path / "runs.jsonl"), {"settings": settings}) is not None


def test_a_group_is_kept_whole_and_made_anew_where_some_of_it_is_missing(tmp_path: Path) -> None:
    path, done = tmp_path / "runs.jsonl", []

    def work() -> list[dict[str, float]]:
        done.append(1)
        return [{"score": 0.5}, {"score": 0.6}, {"score": 0.7}]

    first = group_kept_or_made(path, [], {"fold": 0}, work)
    assert first == [{"fold": 0, "group": 3, "score": score} for score in (0.5, 0.6, 0.7)]
    assert group_kept_or_made(path, read_runs(path), {"fold": 0}, work) == first
    assert len(done) == 1
    # A run that was killed while it wrote.
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    assert group_kept_or_made(path, read_runs(path), {"fold": 0}, work) == first
    assert len(done) == 2
    assert group_kept_or_made(path, read_runs(path), {"fold": 0}, work) == first
    assert len(done) == 2
