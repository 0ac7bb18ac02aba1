"""What importing costs: the front page nothing, the window's modules no torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import napari_crii

PACKAGE = Path(napari_crii.__file__).parent
HEAVY = {"SimpleITK", "napari", "numpy", "qtpy", "torch", "PyQt5", "PyQt6", "nibabel", "pydicom"}
FLOORS_WITHOUT_TORCH = (
    *("_resources", "classes", "errors", "geometry", "patches", "volume"),
    *("calibration", "checkpoint_info", "io", "metrics", "phantom", "snapshot", "session"),
    *("engine/child", "engine/client", "engine/messages"),
)
RIMS_WITHOUT_TORCH = ("_reader", "_sample_data", "_writer", "widgets")


def _modules(parts: tuple[str, ...]) -> list[str]:
    """Dotted names of the modules that exist below the given parts of the package."""
    files = [
        path
        for part in parts
        for path in (PACKAGE / f"{part}.py", *(PACKAGE / part).rglob("*.py"))
        if path.is_file() and path.name != "__main__.py"
    ]
    relative = [path.relative_to(PACKAGE.parent).with_suffix("") for path in files]
    return [".".join(path.parts).removesuffix(".__init__") for path in relative]


def _loaded_by(modules: list[str]) -> set[str]:
    """Top-level names in ``sys.modules`` of a fresh interpreter that imported the modules."""
    program = "import importlib, json, sys\n"
    program += "".join(f"importlib.import_module({name!r})\n" for name in modules)
    program += "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_the_package_loads_no_heavy_library():
    assert not _loaded_by(["napari_crii"]) & HEAVY


def test_lower_floors_and_the_engine_client_load_no_torch_and_no_window():
    loaded = _loaded_by(_modules(FLOORS_WITHOUT_TORCH))

    assert not loaded & {"torch", "napari", "qtpy", "PyQt5", "PyQt6"}


@pytest.mark.napari
def test_modules_of_the_window_load_no_torch():
    pytest.importorskip("qtpy")

    assert "torch" not in _loaded_by(_modules(RIMS_WITHOUT_TORCH))


@pytest.mark.parametrize("name", napari_crii.__all__)
def test_public_names_are_found_on_first_use(name):
    assert getattr(napari_crii, name) is getattr(napari_crii, name)
    assert name in dir(napari_crii)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = napari_crii.nonsense
