"""The wheel, installed with its declared requirements and nothing else, must work."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONSTRAINTS = ROOT / "resources" / "constraints.txt"

OPEN_THE_SAMPLES = """
import json
import napari_crii
from napari.components import ViewerModel
from napari_crii._resources import resource
from npe2 import PluginManager

manager = PluginManager.instance()
manager.discover()
viewer = ViewerModel()
for sample in manager.get_manifest("napari-crii").contributions.sample_data or []:
    viewer.open_sample("napari-crii", sample.key)
print(json.dumps({
    "package": napari_crii.__file__,
    "version": napari_crii.__version__,
    "checkpoints": str(resource("checkpoints")),
    "layers": [[type(layer).__name__, list(layer.data.shape)] for layer in viewer.layers],
}))
"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(480)]


def _run(*command: str | Path, cwd: Path) -> str:
    """Output of a command that sees neither this source tree nor this environment."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}
    clean["NAPARI_CONFIG"] = ""
    done = subprocess.run(command, cwd=cwd, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that comes out of the source distribution, as a registry would get it."""
    folder = tmp_path_factory.mktemp("dist")
    _run(sys.executable, "-m", "build", "--no-isolation", "-o", folder, ROOT, cwd=folder)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def clean_bin(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Programs of a fresh environment that holds the wheel and what it asks for."""
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder / "env", with_pip=True)
    programs = folder / "env" / ("Scripts" if os.name == "nt" else "bin")
    install = ("-m", "pip", "install", "-q", "--no-compile", "-c", CONSTRAINTS, wheel)
    _run(programs / "python", *install, cwd=folder)
    yield programs
    shutil.rmtree(folder)


def test_wheel_carries_every_file_of_the_package_and_the_resources(wheel: Path) -> None:
    package = {path.relative_to(ROOT).as_posix() for path in _files(ROOT / "napari_crii")}
    carried = {
        f"napari_crii/{path.relative_to(ROOT).as_posix()}" for path in _files(ROOT / "resources")
    }
    names = set(zipfile.ZipFile(wheel).namelist())

    assert package | carried <= names
    assert all(name.startswith(("napari_crii/", "napari_crii-")) for name in names)


def test_clean_install_opens_the_sample_data(clean_bin: Path, wheel: Path, tmp_path: Path) -> None:
    _run(clean_bin / "python", "-m", "pip", "check", cwd=tmp_path)

    seen = json.loads(_run(clean_bin / "python", "-c", OPEN_THE_SAMPLES, cwd=tmp_path))

    assert Path(seen["package"]).is_relative_to(clean_bin.parent)
    assert Path(seen["checkpoints"]).is_relative_to(clean_bin.parent)
    assert f"napari_crii-{seen['version']}-" in wheel.name
    assert "Image" in [kind for kind, _ in seen["layers"]]
    assert all(min(shape) > 1 for _, shape in seen["layers"])


def test_clean_install_brings_the_command_and_no_qt_binding(
    clean_bin: Path, tmp_path: Path
) -> None:
    assert "predict" in _run(clean_bin / "napari-crii", "--help", cwd=tmp_path)

    installed = _run(clean_bin / "python", "-m", "pip", "list", cwd=tmp_path).lower()

    assert not [name for name in ("pyqt5", "pyqt6", "pyside") if name in installed]


def _files(folder: Path) -> list[Path]:
    return [
        path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    ]
