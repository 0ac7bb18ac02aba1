from __future__ import annotations

from pathlib import Path

import pytest

from tests.session.projects import new_project


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of a new project."""
    return new_project(tmp_path / "prüf project")
