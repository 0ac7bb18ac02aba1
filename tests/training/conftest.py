from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.threads import torch_threads


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Small networks learn faster on one thread, above all on a busy machine."""
    with torch_threads(1):
        yield


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """Compute on one thread, and on two, where batches are passed in parts."""
    with torch_threads(request.param):
        yield request.param
