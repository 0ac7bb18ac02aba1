"""F10: its judgement on made-up samples, and its short form in a real window."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.faults.f10 import Soaked, checks, count_check, largest, memory_check

ROOT = Path(__file__).resolve().parents[2]
HOURS = np.linspace(0, 0.5, 200)


def soaked(**changes: object) -> Soaked:
    """Return a soak in which nothing grew, after a warm-up in which everything did."""
    samples = np.zeros((len(HOURS), 3, 4))
    samples[..., 0] = 400 + 50 * np.minimum(HOURS, 0.1)[:, None] / 0.1
    samples[..., 1:3] = 30 - (HOURS < 0.05)[:, None, None]
    made = Soaked(HOURS, samples, 12.0, 80.0, {"ticks": 9, "strokes": 99}, [], 1.0)
    return made._replace(**changes)


def bad(made: Soaked, timed: bool = True) -> list[str]:
    return [check.name for check in checks(made, timed) if check.bad]


def test_what_grows_in_the_warm_up_only_is_good() -> None:
    assert bad(soaked()) == []
    assert len(checks(soaked(), timed=True)) == 13
    assert len(checks(soaked(), timed=False)) == 8


def test_a_slope_is_found_in_noise_and_between_outliers(rng: np.random.Generator) -> None:
    noise = rng.normal(0, 2, len(HOURS))
    noise[::20] += 80
    grows = memory_check("window", HOURS, 400 + 25 * HOURS + noise)
    assert grows.bad
    assert 20 < float(grows.found.split()[0]) < 30
    assert not memory_check("window", HOURS, 400 + noise).bad


def test_processes_of_a_tick_each_are_compared_by_their_largest() -> None:
    pids = np.repeat(np.arange(20.0), 10)
    fills = 300 + np.tile(np.arange(10.0), 20)
    grows = fills + 40 * HOURS
    hours, mb = largest(HOURS, grows, pids)
    assert len(mb) == 20
    assert memory_check("trainer", hours, mb).bad
    assert not memory_check("trainer", *largest(HOURS, fills, pids)).bad
    assert memory_check("trainer", hours[:2], mb[:2]).bad


def test_few_samples_of_a_file_held_now_and_then_are_no_leak() -> None:
    assert not count_check("descriptors", "engine", np.array([6, 6, 7, 6, 6, 6, 7, 6])).bad
    assert count_check("descriptors", "engine", np.array([6, 6, 7, 6, 6, 7, 7, 8])).bad


def test_what_usually_is_more_at_the_end_is_bad_though_it_comes_down_at_times() -> None:
    counts = np.full(len(HOURS), 6.0)
    counts[-50:] = np.where(np.arange(50) % 5, 7.0, 6.0)
    assert count_check("descriptors", "engine", counts).bad


def test_one_thread_more_at_the_end_is_bad_and_one_for_a_moment_is_not() -> None:
    counts = np.full(len(HOURS), 30.0)
    counts[::7] += 2
    assert not count_check("threads", "window", counts).bad
    counts[-60:] -= 1
    assert not count_check("threads", "window", counts).bad
    counts[-60:] += 2
    assert count_check("threads", "window", counts).bad


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"gap_p99_ms": 50.0}, "gap, 99 %"),
        ({"gap_ms": 250.0}, "gap, longest"),
        ({"done": {"ticks": 0}}, "never done"),
        ({"errors": ["The engine ended."]}, "problems"),
    ],
)
def test_each_limit_holds(changes: dict[str, object], name: str) -> None:
    assert bad(soaked(**changes)) == [name]


def test_a_soak_without_samples_is_not_passed() -> None:
    nothing = soaked(hours=HOURS[:0], samples=np.zeros((0, 3, 4)), done={"samples": 0})
    assert bad(nothing) == ["never done"]


@pytest.mark.gui
@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.timeout(400)
@pytest.mark.skipif(os.name == "nt", reason="descriptors are counted")
def test_f10_nothing_is_left_of_work_that_goes_on_together() -> None:
    # A process of its own: its threads and descriptors are those of the window alone.
    command = [
        sys.executable,
        "-m",
        "tests.faults.f10",
        "--short",
        "--minutes",
        "5",
        "--every",
        "0.5",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "F10: 0/8"
