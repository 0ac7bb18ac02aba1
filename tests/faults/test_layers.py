"""The short form of F8 through the layers of a viewer without a window."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults import f8

pytestmark = pytest.mark.napari


def test_f8_the_layers_show_what_the_shadow_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.faults.f8_layers import LayerRun

    monkeypatch.setattr(f8, "RESTART_EVERY", 150)
    assert f8.faults(300, 1, tmp_path / "p", LayerRun) == []


def test_f8_finds_paint_on_hidden_slices_that_nobody_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_crii.widgets.drawn_slices import DrawnSlices
    from tests.faults.f8_layers import LayerRun

    monkeypatch.setattr(DrawnSlices, "_on_paint", lambda *arguments: None)
    (fault,) = f8.faults(300, 1, tmp_path / "p", LayerRun)
    assert "shows something else" in fault or "differ" in fault
