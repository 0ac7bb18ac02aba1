"""A tiny labelled data set of three patients, and a runner for the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from PIL import Image
from typer.testing import CliRunner

from napari_crii.cli import app
from tests.factories import disc

PATIENTS = ("p1", "p1", "p2", "p3")


@pytest.fixture(scope="package", autouse=True)
def _one_thread() -> Iterator[None]:
    from tests.threads import torch_threads

    with torch_threads(1):
        yield


@pytest.fixture
def run() -> Callable[..., Result]:
    def call(*arguments: object) -> Result:
        return CliRunner().invoke(app, ["benchmark", *(str(a) for a in arguments)])

    return call


@pytest.fixture
def data(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Return a folder with images/, labels/ (0 and 255) and groups.csv."""
    folder = tmp_path / "discs"
    rows = ["file,patient"]
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    for number, patient in enumerate(PATIENTS):
        truth = disc((64, 64), tuple(rng.uniform(24, 40, 2)), tuple(rng.uniform(8, 16, 2)))
        grey = np.clip(truth * 90 + rng.normal(80, 8, truth.shape), 0, 255)
        Image.fromarray(grey.astype(np.uint8)).save(folder / "images" / f"s{number}.png")
        Image.fromarray((truth * 255).astype(np.uint8)).save(folder / "labels" / f"s{number}.png")
        rows.append(f"s{number}.png,{patient}")
    (folder / "groups.csv").write_text("\n".join(rows) + "\n")
    return folder
