"""The plugin in a real window: docked through the menus, scans opened through the reader."""

from __future__ import annotations

from pathlib import Path

import pytest

MANIFEST = Path(__file__).resolve().parents[2] / "napari_crii" / "napari.yaml"

pytestmark = pytest.mark.gui


@pytest.fixture
def registered(npe2pm):
    with npe2pm.tmp_plugin(manifest=str(MANIFEST)):
        yield npe2pm


def test_the_widget_docks_and_stands_in_the_menu_layers_segment(registered, make_napari_viewer):
    from napari._app_model import get_app_model

    from napari_crii.widgets.assistant import CriiAssistant

    viewer = make_napari_viewer(show=True)
    entries = get_app_model().menus.get_menu("napari/layers/segment")
    assert "napari-crii.assistant" in {getattr(e.command, "id", "") for e in entries}
    viewer.open_sample("napari-crii", "phantom")
    _, widget = viewer.window.add_plugin_dock_widget("napari-crii", "CRII assistant")
    assert isinstance(widget, CriiAssistant)
    assert widget.task().volume.name == "phantom"
    widget.shut_down()
