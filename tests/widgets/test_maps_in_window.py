"""The map that the layer of disagreement shows, chosen in the dock."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox

from napari_crii.widgets import layer_binding
from napari_crii.widgets.case_layers import DISAGREEMENT
from napari_crii.widgets.maps import MapKind
from tests.widgets.panels import accept

pytestmark = pytest.mark.gui


def choose(window, kind: MapKind) -> None:
    listed = window.assistant.findChild(QComboBox, "crii_maps")
    window.pick(listed, list(MapKind).index(kind))
    assert listed.currentText() == kind.value
    assert kind.tip == listed.itemData(listed.currentIndex(), Qt.ItemDataRole.ToolTipRole)


def test_each_map_is_shown_of_all_slices_and_of_those_that_come(open_window, engine, monkeypatch):
    # Six slices, two in a turn: the rest comes in turns of its own.
    monkeypatch.setattr(layer_binding, "MAPS_A_TURN", 2)
    window = open_window()
    window.propose(engine.last)
    score = window.case.proposals.score
    slices = range(len(score))
    places = np.stack([window.case.proposals.places(i) for i in slices])
    near, faint = (places & bit > 0 for bit in (1, 2))
    branches = np.stack([window.case.proposals.branches(i) for i in slices])
    assert (branches == 7).all()
    expected = {
        MapKind.EXPECTED: score,
        MapKind.BOUNDARY: np.where(near, score, 0),
        MapKind.FAINT: np.where(faint, score, 0),
        MapKind.BRANCHES: branches,
    }
    for kind in (*reversed(MapKind), MapKind.FAINT):
        choose(window, kind)
        window.until(lambda kind=kind: np.array_equal(window.data(DISAGREEMENT), expected[kind]))
    window.controller.show_map(MapKind.BRANCHES)
    assert not np.array_equal(window.data(DISAGREEMENT), branches)
    window.controller.show_map(MapKind.FAINT)
    window.qtbot.wait(200)
    window.propose(engine.last)
    assert np.array_equal(window.data(DISAGREEMENT), expected[MapKind.FAINT])
    accept(window, 2)
    assert np.array_equal(window.data(DISAGREEMENT), expected[MapKind.FAINT])
    assert len(window.controller.review.patches) == 10


def test_the_choice_stays_for_the_case_that_comes_next(open_window, engine):
    window = open_window()
    choose(window, MapKind.BRANCHES)
    window.propose(engine.last)
    layer = window.viewer.layers[DISAGREEMENT]
    assert (layer.data == 7).all()
    assert tuple(layer.contrast_limits) == (0, 128)
    choose(window, MapKind.EXPECTED)
    window.until(lambda: (layer.data == window.case.proposals.score).all())
    assert tuple(layer.contrast_limits) == (0, 255)
