"""The short form of F2: one window, its engine killed while weights are published, then itself."""

from __future__ import annotations

import os

import pytest

from tests.faults import f2
from tests.faults.frame import bad_cases

pytestmark = [
    pytest.mark.alone,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(os.name == "nt", reason="this system has no kill -9"),
]


_CASES = (2, f2.STRIKES_PER_WINDOW - 1)


def test_f2_the_window_goes_on_and_leaves_no_process_behind() -> None:
    assert bad_cases(f2.check, _CASES) == []
