"""Which weights a project is opened with, for the first reading and for a blind second one."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_crii.checkpoint import save_checkpoint
from napari_crii.classes import numbered_classes
from napari_crii.session.project import Project
from napari_crii.session.weights import PublishedWeights
from tests.factories import small_checkpoint

pytestmark = pytest.mark.napari


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a project with the weights it began with, and others that learnt from a slice."""
    files = [tmp_path / f"{seed}.safetensors" for seed in range(2)]
    for seed, path in enumerate(files):
        save_checkpoint(path, small_checkpoint(seed=seed))
    Project.create(tmp_path / "p", "p", numbered_classes(["a"]))
    with Project.open(tmp_path / "p") as project:
        project.weights.add(files[0])
        project.weights.add(files[1], PublishedWeights.of(files[1], slices=1))
    return tmp_path / "p"


@pytest.mark.parametrize(("reading", "expected"), [(1, 1), (2, 0)])
def test_a_second_reading_gets_no_weights_of_the_first(
    folder: Path, reading: int, expected: int
) -> None:
    from napari_crii.widgets.weights import weights_to_open_with

    with Project.open(folder, reading=reading) as project:
        found = weights_to_open_with(project, Path("chosen"))
        assert found == project.weights.all[expected].path


@pytest.mark.parametrize(("reading", "expected"), [(1, [0, 1]), (2, [0])])
def test_a_second_reading_has_no_way_back_to_weights_of_the_first(
    folder: Path, reading: int, expected: list[int]
) -> None:
    from napari_crii.widgets.weights import weights_of

    with Project.open(folder, reading=reading) as project:
        known = [one.digest for one in project.weights.all]
        assert [known.index(one.digest) for one in weights_of(project)] == expected


def test_without_such_weights_those_chosen_stay_unless_they_learnt_here(folder: Path) -> None:
    from napari_crii.widgets.weights import weights_to_open_with

    with Project.open(folder, reading=2) as project:
        first, learnt = (one.path for one in project.weights.all)
        assert first is not None
        first.unlink()
        assert weights_to_open_with(project, Path("chosen")) == Path("chosen")
        assert weights_to_open_with(project, learnt) is None
