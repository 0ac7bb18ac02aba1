"""The search for unreachable objects; in a process of its own, for all of it changes."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.napari

PROGRAM = """
import gc, importlib.util
spec = importlib.util.find_spec("napari_crii.widgets.garbage")
garbage = importlib.util.module_from_spec(spec)
spec.loader.exec_module(garbage)

def searches():
    return gc.get_stats()[2]["collections"]

kept = [[] for _ in range(600_000)]
gc.collect()
garbage.set_aside()
assert gc.get_freeze_count() > 600_000
before = searches()
kept += [[] for _ in range(100_000)]
assert searches() > before, "the next search waits for a quarter of what was set aside"
assert len(gc.get_objects(generation=2)) < 200_000
garbage.take_back()
assert gc.get_freeze_count() == 0
"""


def test_what_comes_after_is_searched_often_and_what_was_before_is_not() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
