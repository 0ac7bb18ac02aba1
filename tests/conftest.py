"""Fixtures for all tests: small synthetic scans, and the folder of real ones."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from napari_crii.geometry import Geometry
from napari_crii.volume import Volume

# Machines that test are shared and slow at times: slowness is not what properties are about.
settings.register_profile("napari-crii", deadline=None)
settings.load_profile("napari-crii")


# Where two suites of windows share the work, each takes every other test.
_TURNS = {"pyqt5": 0, "pyqt6": 1}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what the other binding's suite takes, if the work is shared with one."""
    turn = _TURNS.get(os.environ.get("NAPARI_CRII_TURN", ""))
    windows = [item for item in items if item.get_closest_marker("gui")]
    shared = [item for item in windows if not item.get_closest_marker("both")]
    # Slow ones first: each suite gets its part of them, however many others there are.
    shared.sort(key=lambda item: item.get_closest_marker("slow") is None)
    left = (
        {id(item) for at, item in enumerate(shared) if at % 2 != turn} if turn in (0, 1) else set()
    )
    config.hook.pytest_deselected(items=[item for item in items if id(item) in left])
    items[:] = [item for item in items if id(item) not in left]


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Return the folder of real scans, which are never part of the repository."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("NAPARI_CRII_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"real scans are absent: {folder} is no folder; set NAPARI_CRII_DATA")
    return folder


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240607)


@pytest.fixture(scope="session")
def oblique() -> Geometry:
    """Return a right-handed grid, anisotropic in all three axes and turned about two."""
    return make_oblique()


@pytest.fixture
def scan(oblique: Geometry, rng: np.random.Generator) -> Volume:
    """Return a small oblique scan, all three sizes different."""
    return Volume(rng.integers(-900, 900, (5, 7, 9)).astype(np.int16), oblique, "scan")


@pytest.fixture
def labels(rng: np.random.Generator) -> np.ndarray:
    """Return labels 0 to 3 of the shape of `scan`."""
    return rng.integers(0, 4, (5, 7, 9)).astype(np.uint8)


def make_oblique() -> Geometry:
    a, b = np.radians(23.0), np.radians(-11.0)
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    affine = np.eye(4)
    affine[:3, :3] = (about_z @ about_x)[:, ::-1] * (4.0, 0.7, 1.3)
    affine[:3, 3] = (-61.5, 17.25, 203.125)
    return Geometry.from_affine(affine)
