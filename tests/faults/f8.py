"""F8: random operations on the cases of a project.

    python -m tests.faults.f8 --count 100000

Every 10,000 operations a new project begins; one in ten is worked on through the layers of a
napari viewer without a window (see `f8_layers`). After every operation the case must equal a shadow
that is kept in plain numpy arrays; every 2,000 operations the journal, replayed, must equal it
too, and the project is closed and opened again, so that undo and redo reach over restarts. No act
of the network may change a voxel that a human vouches for.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.faults.f8_run import Run
from tests.faults.frame import say

RESTART_EVERY = 2000
A_PROJECT = 10_000
# Of so many projects, one is shown in a viewer.
ON_LAYERS = 10


def faults(count: int, seed: int, folder: Path, kind: type[Run] = Run) -> list[str]:
    """Run random operations of a kind until the first fault; return it, or nothing."""
    run = kind(folder, seed)
    try:
        for number in range(1, count + 1):
            found = run.step()
            if not found and (number % RESTART_EVERY == 0 or number == count):
                found = run.replayed_fault()
                run.restart()
                found = found or run.fault()
            if found:
                return [f"operation {number}: {found}"]
        return []
    finally:
        run.close()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.f8")
    parser.add_argument("--count", type=int, default=100_000, help="number of operations")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    # Here, because what is tested without it must not need napari.
    from tests.faults.f8_layers import LayerRun, qt_application

    qt_application()
    found: list[str] = []
    for number, done in enumerate(range(0, options.count, A_PROJECT)):
        kind = Run if number % ON_LAYERS else LayerRun
        with tempfile.TemporaryDirectory(prefix="faults-") as folder:
            part = min(A_PROJECT, options.count - done)
            found += faults(part, options.seed + done, Path(folder, "p"), kind)
    for line in found:
        say(f"F8 {line}")
    say(f"F8: {len(found)}/{options.count}")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
