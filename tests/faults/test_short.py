"""The fault programs in short form. `python -m tests.faults.f4` runs one in full."""

from __future__ import annotations

import sys

import pytest

from tests.faults import f5
from tests.faults.frame import bad_cases

pytestmark = pytest.mark.alone

# Forked children, /proc and disks in memory: what these two programs stand on.
linux = pytest.mark.skipif(sys.platform != "linux", reason="the program forks and mounts")


@linux
def test_faults_of_the_medium_leave_the_old_file():
    from tests.faults import f3

    assert bad_cases(f3.check, range(0, f3.FULL, 7)) == []


@linux
def test_malformed_input_is_refused_in_words_or_read_right():
    from tests.faults import f4

    assert bad_cases(f4.check, range(0, len(f4.PLAN), 2)) == []


@linux
def test_learning_and_proposing_go_on_with_less_memory():
    from tests.faults import f6

    assert bad_cases(f6.check, (0, 8, 12, 18)) == []


@linux
@pytest.mark.timeout(600)
def test_children_whose_memory_is_limited_say_so():
    from tests.faults import f6

    assert bad_cases(f6.check, (1, 3)) == []


@linux
@pytest.mark.timeout(600)
def test_a_run_that_goes_wrong_is_rolled_back_and_publishes_nothing():
    from tests.faults import f7

    assert bad_cases(f7.check, range(5)) == []


def test_volumes_keep_voxels_and_place_through_every_format():
    assert bad_cases(f5.check, range(100)) == []
