"""The weights of a project and of a sitting, and the way back to each of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from napari_crii.checkpoint import save_checkpoint
from napari_crii.errors import CheckpointError, ProjectError, ReadOnlyError
from napari_crii.session import Session
from napari_crii.session.entries import make_entry
from napari_crii.session.moving import save_as_project
from napari_crii.session.project import Project
from napari_crii.session.records import Records
from napari_crii.session.report import status
from napari_crii.session.weights import PublishedWeights, WeightsList
from tests.factories import small_checkpoint
from tests.session.projects import opened, scan, stroke

SCORES = {"slices": 7, "before": 0.61, "after": 0.66, "check_slices": 5}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("weights")
    for seed in range(3):
        save_checkpoint(folder / f"{seed}.safetensors", small_checkpoint(classes=3, seed=seed))
    return sorted(folder.iterdir())


def entered(files: list[Path], project: Project) -> list[PublishedWeights]:
    learnt = [PublishedWeights.of(path, **SCORES) for path in files]
    for path, one in zip(files, learnt, strict=True):
        assert project.weights.add(path, one) == one.digest
    return learnt


def test_every_weight_is_kept_in_order_with_its_score(folder: Path, files: list[Path]) -> None:
    with opened(folder) as project:
        assert project.weights.all == ()
        assert project.weights.in_use == ""
        learnt = entered(files, project)
    with opened(folder) as project:
        assert [replace(one, path=None) for one in project.weights.all] == [
            replace(one, path=None) for one in learnt
        ]
        assert all(one.path is not None and one.path.is_file() for one in project.weights.all)
        assert project.weights.in_use == learnt[-1].digest
        assert str(files[0].parent) not in "".join(e.head for e in project.journal.entries_of(""))


def test_going_back_is_one_entry_and_new_weights_are_in_use_again(
    folder: Path, files: list[Path]
) -> None:
    with opened(folder) as project:
        first, second = entered(files[:2], project)
        number = project.wait().number
        project.weights.use(first.digest)
        assert project.wait().number == number + 1
        project.weights.use(first.digest)
        assert project.wait().number == number + 1
    with opened(folder) as project:
        assert project.weights.in_use == first.digest
        assert [one["in_use"] for one in status(project)["weights"]] == [True, False]
        project.weights.add(files[2])
        assert project.weights.in_use == PublishedWeights.of(files[2]).digest
        project.weights.use(second.digest)
    with opened(folder) as project:
        assert project.weights.in_use == second.digest


def test_weights_that_are_not_there_or_a_project_that_is_read_only_refuse(
    folder: Path, files: list[Path]
) -> None:
    with opened(folder) as project:
        with pytest.raises(ProjectError, match="no weights beef"):
            project.weights.use("beef")
        (learnt,) = entered(files[:1], project)
    with Project.open(folder, read_only=True) as project, pytest.raises(ReadOnlyError):
        project.weights.use(learnt.digest)


def test_a_journal_that_knows_digests_only_still_opens() -> None:
    entries = [make_entry("checkpoint", "", {"digest": digest}) for digest in ("a", "b")]
    records = Records.of(entries)
    assert records.checkpoints == ["a", "b"]
    assert list(records.weights) == [
        PublishedWeights("a", when=entries[0].at),
        PublishedWeights("b", when=entries[1].at),
    ]
    assert records.weights.in_use == "b"


def test_a_project_of_before_is_read_from_its_folder(folder: Path, files: list[Path]) -> None:
    with opened(folder) as project:
        digest = PublishedWeights.of(files[0]).digest
        project._record(make_entry("checkpoint", "", {"digest": digest}))
    with opened(folder) as project:
        (one,) = project.weights.all
        assert (one.digest, one.slices, one.before, one.after) == (digest, 0, -1, -1)
        assert project.weights.in_use == digest


def test_a_sitting_without_a_project_keeps_the_same_list() -> None:
    weights = WeightsList()
    for digest in ("a", "b", "a"):
        weights.add(PublishedWeights(digest))
    assert [one.digest for one in weights] == ["a", "b"]
    assert weights.in_use == "a"
    weights.use("b")
    assert (weights.in_use, weights["b"].digest, len(weights)) == ("b", "b", 2)
    with pytest.raises(ProjectError):
        weights.use("c")


def test_what_was_learnt_in_memory_moves_into_the_project(
    tmp_path: Path, files: list[Path]
) -> None:
    with opened(new := _project(tmp_path)) as project:
        classes = project.session.classes
    session = Session(classes, "r")
    stroke(session.open(scan()), 1, 3, 4)
    for path in files:
        session.weights.add(PublishedWeights.of(path, **SCORES))
    session.weights.add(PublishedWeights("gone", tmp_path / "gone.safetensors"))
    back = PublishedWeights.of(files[1]).digest
    session.weights.use(back)
    with save_as_project(session, new / "moved") as project:
        assert [one.slices for one in project.weights.all] == [7, 7, 7]
        assert project.weights.in_use == back
        assert all(one.path is not None and one.path.is_file() for one in project.weights.all)


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"nothing")
    with pytest.raises(CheckpointError):
        PublishedWeights.of(tmp_path / "x")


def _project(folder: Path) -> Path:
    from tests.session.projects import new_project

    return new_project(folder / "classes")
