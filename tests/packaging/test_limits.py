"""Rules of the repository that no other tool checks."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MOST_LINES = 400
MOST_BYTES = 10 * 1024 * 1024
TOP_LEVEL = {
    *("napari_crii", "tests", "resources", "docs"),
    *("pyproject.toml", "napari.yaml", "Makefile"),
    *("README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md"),
}


@pytest.fixture(scope="module")
def tracked() -> list[str]:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this is no git clone")
    command = ["git", "-C", str(ROOT), "ls-files", "-z"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [name for name in done.stdout.split("\0") if name]


def test_root_manifest_equals_the_one_that_npe2_reads():
    root, package = ROOT / "napari.yaml", ROOT / "napari_crii" / "napari.yaml"

    assert not root.is_symlink()
    assert root.read_bytes() == package.read_bytes(), "copy napari_crii/napari.yaml to the root"


def test_no_source_file_is_over_400_lines():
    files = [path for part in ("napari_crii", "tests") for path in (ROOT / part).rglob("*.py")]
    lengths = {str(path): len(path.read_text("utf-8").splitlines()) for path in files}

    assert not {path: length for path, length in lengths.items() if length > MOST_LINES}


def test_no_tracked_file_is_over_10_megabytes(tracked):
    sizes = {name: (ROOT / name).stat().st_size for name in tracked if (ROOT / name).is_file()}

    assert not {name: size for name, size in sizes.items() if size > MOST_BYTES}


def test_top_level_holds_only_the_agreed_names(tracked):
    names = {name.split("/")[0] for name in tracked}

    assert not {name for name in names if not name.startswith(".")} - TOP_LEVEL
