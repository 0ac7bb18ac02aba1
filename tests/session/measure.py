"""What keeping a session costs: bytes and milliseconds per stroke, seconds to open.

    python -m tests.session.measure --size 512 --strokes 4000

Strokes are round, 11 pixels wide and 12 steps long, on 40 slices; every tenth act accepts a slice.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_crii.classes import numbered_classes
from napari_crii.geometry import Geometry
from napari_crii.session import Case
from napari_crii.session.journal import Listener, Saved
from napari_crii.session.project import Project
from napari_crii.session.project_folder import JOURNAL
from napari_crii.volume import Volume
from tests.faults.frame import say

SLICES = 40


def stroke(labels: NDArray[np.integer], rng: np.random.Generator, label: int) -> None:
    """Draw a random walk of discs into a slice."""
    size = len(labels)
    row, column = rng.integers(8, size - 8, 2)
    for _ in range(12):
        row, column = np.clip(np.add((row, column), rng.integers(-4, 5, 2)), 8, size - 9)
        near = labels[row - 5 : row + 6, column - 5 : column + 6]
        offsets = np.indices(near.shape) - 5
        near[(offsets**2).sum(axis=0) <= 25] = label


def work(case: Case, count: int, rest: float, project: Project, sent: dict[int, float]) -> None:
    """Draw and accept, and write down when each act was handed over."""
    rng = np.random.default_rng(0)
    for number in range(count):
        index = int(rng.integers(SLICES))
        labels = case.shown(index).copy()
        stroke(labels, rng, 1 + number % 2)
        time.sleep(rest)
        begun = time.perf_counter()
        if number % 10 == 9:
            case.accept_slice(index)
        else:
            case.draw(index, labels)
        sent[project.journal.number] = begun
        _taken.append(1000 * (time.perf_counter() - begun))


_taken: list[float] = []


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.session.measure")
    parser.add_argument("--size", type=int, default=512, help="rows and columns")
    parser.add_argument("--strokes", type=int, default=4000)
    parser.add_argument("--rest", type=float, default=0.02, help="seconds between two strokes")
    options = parser.parse_args(arguments)
    shape = (SLICES, options.size, options.size)
    with tempfile.TemporaryDirectory() as name:
        measure(
            Volume(np.zeros(shape, dtype=np.int16), Geometry((5.0, 0.7, 0.7))),
            Path(name, "p"),
            options.strokes,
            options.rest,
        )


def measure(volume: Volume, folder: Path, count: int, rest: float) -> None:
    """Work on a new project, open it again, and tell what both cost."""
    sent: dict[int, float] = {}
    waited: list[float] = []

    def saved(what: Saved) -> None:
        for number in [n for n in list(sent) if n <= what.number]:
            waited.append(1000 * (time.perf_counter() - sent.pop(number)))

    Project.create(folder, "p", numbered_classes(["a", "b"]))
    with Project.open(folder, listener=Listener(saved=saved)) as project:
        case = project.session.open(volume)
        work(case, count, rest, project, sent)
    begun = time.perf_counter()
    with Project.open(folder) as project:
        read = time.perf_counter()
        again = project.session.open(volume)
        restored = time.perf_counter()
        assert np.array_equal(again.human.provenance, case.human.provenance)
        sizes = [len(c.change) for c in again.corrections if c.act == "draw"]
        held = again.work.history.size
    _tell("voxels of a stroke, packed, bytes", sizes)
    _tell("drawing or accepting, ms", _taken)
    _tell("until it is acknowledged, ms", waited)
    on_disk = (folder / JOURNAL).stat().st_size
    say(f"journal {on_disk / count:.0f} bytes per act, undo holds {held / 1e6:.1f} MB")
    say(f"open {read - begun:.2f} s, restore the case {restored - read:.2f} s")


def _tell(what: str, values: Sequence[float]) -> None:
    middle, most, worst = np.percentile(values, (50, 99, 100))
    say(f"{what}: median {middle:.4g}, 99 % {most:.4g}, worst {worst:.4g}")


if __name__ == "__main__":
    main()
