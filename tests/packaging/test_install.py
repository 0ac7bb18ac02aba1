"""What an installed napari-crii offers, the editable install included."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

import napari_crii
from napari_crii._resources import resource

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def installed():
    try:
        return distribution("napari-crii")
    except PackageNotFoundError:
        pytest.skip("napari-crii is run from its source tree and not installed")


def test_editable_install_finds_the_resources(installed):
    direct_url = json.loads(installed.read_text("direct_url.json") or "{}")

    assert direct_url["dir_info"] == {"editable": True}
    assert Path(napari_crii.__file__) == ROOT / "napari_crii" / "__init__.py"
    assert resource("checkpoints") == ROOT / "resources" / "checkpoints"
    assert resource() == ROOT / "resources"


def test_missing_resource_is_named_in_one_sentence():
    with pytest.raises(FileNotFoundError, match=r"no file resources/checkpoints/none\.st: .*again"):
        resource("checkpoints", "none.st")


def test_entry_points_name_the_command_and_the_manifest(installed):
    found = {(point.group, point.name): point.value for point in installed.entry_points}

    assert found == {
        ("console_scripts", "napari-crii"): "napari_crii.cli:main",
        ("napari.manifest", "napari-crii"): "napari_crii:napari.yaml",
    }


def test_version_is_that_of_the_metadata(installed):
    assert napari_crii.__version__ == installed.version


def test_no_qt_binding_is_required(installed):
    always = [text for text in installed.requires if "extra ==" not in text]

    assert not [text for text in always if text.lower().startswith(("pyqt", "pyside"))]


@pytest.mark.napari
def test_npe2_finds_a_valid_manifest(installed):
    npe2 = pytest.importorskip("npe2")
    manager = npe2.PluginManager()
    manager.discover()

    manifest = manager.get_manifest("napari-crii")

    assert manifest.package_version == installed.version
    npe2.PluginManifest.from_file(ROOT / "napari_crii" / "napari.yaml").validate_imports()


@pytest.mark.napari
def test_sample_data_opens_here_too():
    pytest.importorskip("npe2")
    sample_data = pytest.importorskip("napari_crii._sample_data")

    kinds = [kind for _, _, kind in sample_data.make_sample_data()]

    assert "image" in kinds
