"""F10: strokes, scrolling, proposals and training together, for a long time, in a real window.

    python -m tests.faults.f10 --minutes 30
    python -m tests.faults.f10 --hours 8

A hand paints, erases and scrolls without end; the volume is proposed again and again; a slice is
accepted, learnt from, drawn on and accepted anew. Every few seconds, while all of it goes on,
memory, threads and descriptors of the window and its children are written down. After a warm-up,
memory must not rise by 10 MB an hour, threads and descriptors must stay as they were, and the event
loop must not stall. Needs a display. ``--short`` takes a small scan, a small network and small
ticks, and counts only: nothing is said of times and memory.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import theilslopes

from tests.faults.frame import say

PROCESSES = ("window", "engine", "trainer")
FIGURES = ("memory", "threads", "descriptors", "process")
MEMORY_MB_AN_HOUR = 10.0
GAP_P99_MS, GAP_MS = 50.0, 250.0
WARM_UP = 0.2
_FEWEST_POINTS, _MOST_POINTS = 3, 1500


class Check(NamedTuple):
    """One thing that was looked at: what it came to, and whether that is bad."""

    name: str
    found: str
    bad: bool


class Soaked(NamedTuple):
    """What a soak gave.

    Attributes
    ----------
    hours
        (N,) when each sample was taken.
    samples
        (N, 3, 4) processes by figures: MB, threads, descriptors, and the process's number.
    gap_p99_ms, gap_ms
        Of the event loop, 99th percentile and longest.
    done
        How often what was done.
    errors
        What the window said was wrong, and what was left behind.
    disk_mb
        What the window's temporary folder and the project grew by.
    """

    hours: NDArray[np.float64]
    samples: NDArray[np.float64]
    gap_p99_ms: float
    gap_ms: float
    done: dict[str, int]
    errors: list[str]
    disk_mb: float


def memory_check(process: str, hours: NDArray[np.float64], mb: NDArray[np.float64]) -> Check:
    """Judge by a robust slope (Theil-Sen), with the interval in which it lies by 95 %."""
    thin = slice(None, None, max(1, -(-len(mb) // _MOST_POINTS)))
    if len(mb) < _FEWEST_POINTS:
        return Check(f"memory, {process}", f"{len(mb)} points are too few", True)
    slope, _, low, high = theilslopes(mb[thin], hours[thin])
    found = f"{slope:+.1f} MB/h ({low:+.1f} to {high:+.1f}), {np.median(mb):.0f} MB"
    return Check(f"memory, {process}", found, bool(slope >= MEMORY_MB_AN_HOUR))


def largest(
    hours: NDArray[np.float64], mb: NDArray[np.float64], pids: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the largest memory of each process, and when; all there is if it was always one.

    A trainer lives for one tick and fills up in it: ticks are compared.
    """
    if len(set(pids)) == 1:
        return hours, mb
    best = [np.flatnonzero(pids == pid)[np.argmax(mb[pids == pid])] for pid in set(pids)]
    return hours[best], mb[best]


def count_check(name: str, process: str, counts: NDArray[np.float64]) -> Check:
    """Judge whether there are, at the end, usually no more than in the beginning.

    Usually is more often than not: half of a few samples, with a file that is being written at
    that moment, are no leak.
    """
    quarter = max(1, len(counts) // 4)
    first = np.median(counts[:quarter])
    last = np.percentile(counts[-quarter:], 50, method="lower")
    found = f"{first:g} -> {last:g}, from {counts.min():g} to {counts.max():g}"
    return Check(f"{name}, {process}", found, bool(last > first))


def checks(soaked: Soaked, timed: bool) -> list[Check]:
    """Judge everything; not `timed`: counts only."""
    begun = soaked.hours >= WARM_UP * soaked.hours.max(initial=0)
    hours, samples = soaked.hours[begun], soaked.samples[begun]
    found: list[Check] = []
    for number, process in enumerate(PROCESSES if len(samples) > 1 else ()):
        memory, *counts, pids = samples[:, number].T
        if timed:
            found.append(memory_check(process, *largest(hours, memory, pids)))
        for name, values in zip(FIGURES[1:3], counts, strict=True):
            found.append(count_check(name, process, values))
    if timed:
        p99, longest = soaked.gap_p99_ms, soaked.gap_ms
        found.append(Check("gap, 99 %", f"{p99:.1f} ms", p99 >= GAP_P99_MS))
        found.append(Check("gap, longest", f"{longest:.1f} ms", longest >= GAP_MS))
    idle = [name for name, count in soaked.done.items() if not count]
    found.append(Check("never done", ", ".join(idle) or "nothing", bool(idle)))
    said = "; ".join(soaked.errors[:3]) or "nothing"
    found.append(Check("problems", said, bool(soaked.errors)))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.f10")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--hours", type=float, default=0.0, help="instead of minutes")
    parser.add_argument("--every", type=float, default=3.0, help="seconds between samples")
    parser.add_argument("--scan", type=Path, help="a scan instead of the phantom")
    parser.add_argument("--short", action="store_true", help="small and without limits of time")
    parser.add_argument("--out", type=Path, help="keep the samples in this .npz file")
    options = parser.parse_args(arguments)
    minutes = options.minutes if not options.hours else 0.0
    seconds = 60 * (minutes + 60 * options.hours)

    from tests.faults.f10_window import Scene, soak

    with tempfile.TemporaryDirectory(prefix="faults-") as folder, warnings.catch_warnings():
        # As in use, where a warning of a library is not an error.
        warnings.simplefilter("ignore")
        scene = Scene.small(Path(folder)) if options.short else Scene.usual(options.scan)
        soaked = soak(scene, Path(folder), seconds, options.every)
    if options.out:
        np.savez(options.out, hours=soaked.hours, samples=soaked.samples)
    return report(soaked, timed=not options.short)


def report(soaked: Soaked, timed: bool) -> int:
    """Say what was found; return the exit code."""
    say(", ".join(f"{count} {name}" for name, count in soaked.done.items()))
    minutes = 60 * soaked.hours.max(initial=0)
    say(f"{len(soaked.hours)} samples in {minutes:.1f} min, of which {WARM_UP:.0%} warm-up")
    say(f"on the disk: {soaked.disk_mb:.1f} MB more")
    found = checks(soaked, timed)
    for check in found:
        say(f"{'BAD ' if check.bad else 'good'} {check.name:<22} {check.found}")
    bad = sum(check.bad for check in found)
    say(f"F10: {bad}/{len(found)}")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
