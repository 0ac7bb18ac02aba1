"""Fixtures for the command line: a runner, small scans on disk, an untrained checkpoint."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from napari_crii.cli import app
from napari_crii.io import write_mask
from napari_crii.io.write import write_map
from napari_crii.phantom import make_phantom

Run = Callable[..., Result]


@pytest.fixture(scope="package", autouse=True)
def _one_thread() -> Iterator[None]:
    """Keep tiny networks on one thread: waiting for a second costs more than it saves."""
    from tests.threads import torch_threads

    with torch_threads(1):
        yield


@pytest.fixture
def run() -> Run:
    def call(*arguments: object) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return call


@pytest.fixture
def refused(run: Run) -> Callable[..., str]:
    """Run a command that must fail as a user's error, and return its one sentence."""

    def call(*arguments: object) -> str:
        result = run(*arguments)
        assert result.exit_code == 2, result.output
        assert result.exception is None or isinstance(result.exception, SystemExit)
        lines = result.stderr.strip().splitlines()
        assert len(lines) == 1, result.stderr
        assert lines[0].startswith("Error: ")
        return lines[0]

    return call


@pytest.fixture
def as_json(run: Run) -> Callable[..., Any]:
    """Run a command that must succeed, and return what its standard output says."""

    def call(*arguments: object) -> Any:
        result = run(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    return call


@pytest.fixture(scope="session")
def phantom_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with images/one.nii.gz, labels/one.nii.gz: organ 1, lesion 2."""
    folder = tmp_path_factory.mktemp("phantom")
    volume, mask = make_phantom((6, 32, 40))
    for name in ("images", "labels"):
        (folder / name).mkdir()
    write_map(folder / "images" / "one.nii.gz", volume.array, volume.geometry)
    write_mask(folder / "labels" / "one.nii.gz", mask, volume.geometry)
    return folder


@pytest.fixture(scope="session")
def scan_file(phantom_folder: Path) -> Path:
    return phantom_folder / "images" / "one.nii.gz"


@pytest.fixture
def png(tmp_path: Path, rng: np.random.Generator) -> Path:
    from PIL import Image

    path = tmp_path / "image.png"
    Image.fromarray(rng.integers(0, 255, (40, 52), dtype=np.uint8)).save(path)
    return path


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return untrained weights with one foreground class."""
    return _save(tmp_path_factory.mktemp("weights") / "one.safetensors", ["lesion"])


@pytest.fixture(scope="session")
def two_classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return untrained weights with two foreground classes."""
    return _save(tmp_path_factory.mktemp("weights") / "two.safetensors", ["organ", "a lesion/2"])


def _save(path: Path, names: list[str]) -> Path:
    from napari_crii.checkpoint import new_checkpoint, save_checkpoint
    from napari_crii.classes import numbered_classes
    from napari_crii.preprocessing import Preprocessing

    save_checkpoint(path, new_checkpoint(numbered_classes(names), Preprocessing()))
    return path
