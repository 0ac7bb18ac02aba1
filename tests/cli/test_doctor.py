"""`doctor`: each line is OK or says what to do."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from napari_crii.cli.doctor import Check

doctor: ModuleType = sys.modules["napari_crii.cli.doctor"]


def test_it_says_what_it_found_and_fails_if_anything_is_missing(
    run, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = [Check("Python", True, "3.11"), Check("Qt", False, "pip install it")]
    monkeypatch.setattr(doctor, "run_checks", lambda: iter(checks))
    result = run("doctor")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[1].startswith("NOT Qt")
    assert json.loads(run("doctor", "--json").stdout)[0] == {
        "name": "Python", "ok": True, "text": "3.11",
    }  # fmt: skip
    monkeypatch.setattr(doctor, "run_checks", lambda: iter(checks[:1]))
    assert run("doctor").exit_code == 0


def test_without_a_display_no_window_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert not doctor._display().ok
    assert "needs a display" in doctor._gl().text


def test_a_missing_binding_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_installed_bindings", list)
    assert "pip install" in doctor._qt().text


def test_what_is_there_is_ok(tmp_path: Path) -> None:
    assert doctor._python().ok
    assert doctor._torch().ok
    assert doctor._writable("folder", tmp_path / "not" / "yet").ok
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_write_right_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", refuse)
    check = doctor._writable("temp folder", Path("/"))
    assert not check.ok
    assert "permission denied" in check.text


def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from shutil import _ntuple_diskusage

    usage = _ntuple_diskusage(10, 9, 1)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: usage)
    assert "make room" in doctor._disk().text


def test_the_selftest_prints_its_figures(as_json) -> None:
    found = as_json("doctor", "--selftest")
    assert [one["name"] for one in found] == ["torch", "16 bits", "memory", "yielding"]
    assert all(one["ok"] for one in found), found
    figures = {one["name"]: one["text"] for one in found}
    assert "of labels as in float32" in figures["16 bits"]
    assert figures["memory"].startswith("2 steps down, then 3 of 3 steps done")
    assert "with 0 steps taken meanwhile" in figures["yielding"]


@pytest.mark.parametrize(
    ("error", "said"),
    [(None, "memory ran out even with"), (RuntimeError("no engine found"), "no engine found")],
)
def test_a_selftest_whose_training_breaks_says_why_and_ends(
    error: Exception | None, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_crii.cli._selftest import run_selftest
    from napari_crii.training.fit import Learner

    def broken(learner: Learner, *given: object) -> None:
        # None says that memory ran out.
        if error is not None:
            raise error

    monkeypatch.setattr(Learner, "_taken", broken)
    found = {name: (ok, text) for name, ok, text in run_selftest("cpu")}
    assert list(found) == ["16 bits", "memory", "yielding"]
    ok, text = found["yielding"]
    assert not ok
    assert said in text


def test_a_device_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAPARI_CRII_DEVICE", "abacus")
    assert not doctor._torch().ok
    assert "abacus" in doctor._torch().text
