"""`finetune`: what the window does in the background, headless."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from napari_crii.checkpoint_info import read_checkpoint_info
from napari_crii.io.write import write_map
from napari_crii.phantom import make_phantom
from napari_crii.session.project import Project
from napari_crii.training import FinishReason
from napari_crii.training.tick import TickResult

SHORT = ("--iterations", 1, "--device", "cpu")


@pytest.fixture
def folder(tmp_path: Path, two_classes: Path) -> Path:
    """Return a project with weights, one case that trains and one that validates."""
    from napari_crii.cli.project import parse_classes

    path = tmp_path / "hearts"
    Project.create(path, "hearts", parse_classes("organ,a lesion/2"))
    with Project.open(path, "r") as project:
        project.weights.add(two_classes)
        for number in range(2):
            volume, mask = make_phantom((6, 32, 40), seed=number)
            scan = tmp_path / f"{number}.nii.gz"
            write_map(scan, volume.array, volume.geometry)
            record = project.add_scan(scan)
            case = project.open_case(record.name)
            case.seed_slices({index: mask[index] for index in (1, 2, 3)})
        assert [r.validation for r in project.records.cases.values()] == [False, True]
    return path


def test_a_tick_learns_checks_and_publishes_into_the_project(as_json, folder: Path) -> None:
    with Project.open(folder, read_only=True) as project:
        start = project.weights.in_use
    facts = as_json("finetune", folder, *SHORT)
    assert (facts["slices"], facts["left_out"]) == (3, [])
    (tick,) = facts["ticks"]
    assert tick["reason"] in ("completed", "refused")
    assert tick["check_slices"] == 3
    assert 0 <= tick["before"] <= 1
    with Project.open(folder, read_only=True) as project:
        (old, new) = project.weights.all
        assert (old.digest, new.digest) == (start, tick["checkpoint"])
        assert project.weights.in_use == new.digest == facts["in_use"]
        assert (new.slices, new.check_slices) == (3, 3)
        assert new.after == pytest.approx(tick["after"], abs=1e-4)
        card = read_checkpoint_info(new.path)
        assert card.provenance["parent"] == start


def test_what_was_learnt_is_not_learnt_again_until_more_is_accepted(
    run, refused, folder: Path
) -> None:
    done = run("finetune", folder, *SHORT)
    assert done.exit_code == 0, done.output
    assert "Learnt from 3 corrected slices." in done.stdout
    assert "Tick 1" in done.stdout
    assert "nothing new to learn" in refused("finetune", folder, *SHORT)
    with Project.open(folder, "r") as project:
        project.open_case("case-001").accept_slice(5)
    assert run("finetune", folder, *SHORT).exit_code == 0


def test_ticks_go_on_from_each_other_and_plus_sees_untouched_slices(as_json, folder: Path) -> None:
    facts = as_json("finetune", folder, *SHORT, "--ticks", 2, "--preset", "plus")
    assert facts["unlabelled_slices"] == 3
    first, second = facts["ticks"]
    assert second["before"] == pytest.approx(first["after"], abs=1e-4)
    with Project.open(folder, read_only=True) as project:
        last = project.weights.all[-1]
        assert read_checkpoint_info(last.path).provenance["parent"] == first["checkpoint"]


def test_it_goes_on_from_the_weights_in_use(as_json, folder: Path) -> None:
    as_json("finetune", folder, *SHORT)
    with Project.open(folder, "r") as project:
        oldest = project.weights.all[0].digest
        project.weights.use(oldest)
        project.open_case("case-001").accept_slice(5)
    as_json("finetune", folder, *SHORT)
    with Project.open(folder, read_only=True) as project:
        card = read_checkpoint_info(project.weights.all[-1].path)
        assert card.provenance["parent"] == oldest


def test_weights_that_are_refused_are_not_in_the_project(
    as_json, refused, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_crii.training import tick

    monkeypatch.setattr(tick, "loses", lambda before, after: True)
    facts = as_json("finetune", folder, *SHORT)
    assert facts["ticks"][0]["reason"] == "refused"
    assert facts["ticks"][0]["checkpoint"] is None
    with Project.open(folder, read_only=True) as project:
        assert len(project.weights.all) == 1
    assert as_json("finetune", folder, *SHORT)["ticks"][0]["reason"] == "refused"


def test_a_scan_that_is_gone_is_left_out_and_named(run, refused, folder: Path) -> None:
    (folder.parent / "1.nii.gz").unlink()
    done = run("finetune", folder, *SHORT)
    assert done.exit_code == 0, done.output
    assert "case-002" in done.stderr
    assert "Not checked" in done.stdout
    (folder.parent / "0.nii.gz").unlink()
    message = run("finetune", folder, *SHORT)
    assert message.exit_code == 2
    assert "nothing to learn from" in message.stderr


def test_a_scan_that_cannot_be_read_is_left_out_and_named(run, as_json, folder: Path) -> None:
    scan = folder.parent / "1.nii.gz"
    scan.write_bytes(scan.read_bytes()[:-200])
    done = run("finetune", folder, *SHORT)
    assert done.exit_code == 0, done.output
    assert "Left out: case-002: " in done.stderr
    (folder.parent / "0.nii.gz").write_bytes(b"")
    alone = run("finetune", folder, *SHORT)
    assert alone.exit_code == 2
    assert "nothing to learn from without the scans that were left out" in alone.stderr


def test_a_device_that_fails_leaves_learning_to_the_processor(
    run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_crii.cli import _finetuning

    real, tried = _finetuning.run_tick, []

    def failing(*given: object, device: object = "cpu") -> object:
        tried.append(str(device))
        if str(device) != "cpu":
            raise RuntimeError("the device fell off the bus")
        return real(*given)

    monkeypatch.setattr(_finetuning, "choose_device", lambda wanted: torch.device("meta"))
    monkeypatch.setattr(_finetuning, "run_tick", failing)
    done = run("finetune", folder, *SHORT)
    assert done.exit_code == 0, done.output
    assert "Learning failed on meta and began anew on the processor." in done.stderr
    assert tried == ["meta", "cpu"]


def test_memory_that_torch_does_not_find_is_one_sentence(
    refused, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_crii.cli import _finetuning

    def short(path: Path) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate")

    monkeypatch.setattr(_finetuning, "load_checkpoint", short)
    assert "more memory than the computer has free" in refused("finetune", folder, *SHORT)


def test_what_a_user_can_get_wrong_is_one_sentence(refused, folder: Path, tmp_path: Path) -> None:
    assert "preset 'x'" in refused("finetune", folder, "--preset", "x")
    assert "no device 'x'" in refused("finetune", folder, "--device", "x")
    assert refused("finetune", tmp_path / "none")
    empty = tmp_path / "empty"
    from napari_crii.cli.project import parse_classes

    Project.create(empty, "p", parse_classes("a"))
    assert "nothing to learn from" in refused("finetune", empty)


def test_a_project_that_is_open_elsewhere_is_refused(refused, folder: Path) -> None:
    with Project.open(folder, "r"):
        assert refused("finetune", folder, *SHORT)


def test_a_run_that_explodes_is_an_error_and_publishes_nothing(
    refused, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_crii.cli import _finetuning
    from napari_crii.training.tick_config import TickConfig

    wild = TickConfig(learning_rate=1.0, batch=2, crop=32)
    monkeypatch.setattr(_finetuning, "usual_config", lambda _: wild)
    message = refused("finetune", folder, "--iterations", 30, "--device", "cpu")
    assert "Learning failed" in message
    with Project.open(folder, read_only=True) as project:
        assert len(project.weights.all) == 1


def test_when_a_later_tick_fails_the_one_before_it_is_kept_and_said(
    refused, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_crii.cli import _finetuning

    real = _finetuning.run_tick
    calls = iter(range(10))

    def second_fails(*arguments, **others):
        if next(calls):
            return iter([TickResult(FinishReason.FAILED, None, "Learning failed: so it is.")])
        return real(*arguments, **others)

    monkeypatch.setattr(_finetuning, "run_tick", second_fails)
    message = refused("finetune", folder, *SHORT, "--ticks", 3)
    assert "tick 2: Learning failed: so it is; what 1 before it learnt is kept" in message
    with Project.open(folder, "r") as project:
        assert len(project.weights.all) == 2
        case = project.open_case("case-001")
        assert len(case.notes.learned) == 3
