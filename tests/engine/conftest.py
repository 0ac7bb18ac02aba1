"""A small network for real children, and the promise that none of them outlives its tests."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from napari_crii.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from tests.engine.waiting import eventually
from tests.factories import small_checkpoint


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Checkpoint]:
    """Return a small checkpoint of two classes, its file first."""
    path = tmp_path_factory.mktemp("weights") / "a.safetensors"
    save_checkpoint(path, small_checkpoint(classes=3))
    return path, load_checkpoint(path)


@pytest.fixture(scope="module")
def no_child_is_left() -> Iterator[None]:
    """Look, when all else of a module is torn down, whether a child is still there."""
    yield
    gc.collect()

    def left() -> list[psutil.Process]:
        return [
            child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE
        ]

    assert eventually(lambda: not left()), left()
