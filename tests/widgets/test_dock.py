"""How much room the dock takes from the canvas."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.gui


def test_only_in_a_large_window_the_dock_asks_for_more_than_it_needs(open_window):
    window = open_window()
    assistant, shell = window.assistant, window.viewer.window
    shell.resize(1100, 650)
    least = assistant.minimumSizeHint().width()
    assert assistant.sizeHint().width() == least
    shell.resize(1500, 900)
    assert assistant.sizeHint().width() > least
