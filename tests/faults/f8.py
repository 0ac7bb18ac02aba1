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
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_crii.classes import numbered_classes
from napari_crii.errors import LockedError
from napari_crii.geometry import Geometry
from napari_crii.patches import Box, Patch, Reason
from napari_crii.session import Act, Case, Correction, Proposal
from napari_crii.session.correction import SliceState, SliceStatus
from napari_crii.session.human_mask import HumanMask
from napari_crii.session.project import Project
from napari_crii.volume import Volume
from tests.faults.frame import say

SHAPE = (3, 9, 11)
CLASSES = 4
CASES = 3
RESTART_EVERY = 2000
State = NDArray[np.uint8]
A_PROJECT = 10_000
# Of so many projects, one is shown in a viewer.
ON_LAYERS = 10
OPERATIONS = (
    *("paint", "paint", "fill", "erase", "undo", "undo", "redo", "paint_through", "accept_patch"),
    *("accept_slice", "reject", "lock", "propose", "propose", "forge", "switch", "take", "seed"),
)


@dataclass
class Step:
    """An act of the shadow: what stood before it, what once slices were taken, what after."""

    before: State
    taken: State
    after: State


@dataclass
class Shadow:
    """A case in plain arrays: (3, S, H, W) of labels, provenance (0 to 3), status (0 to 2)."""

    now: State = field(default_factory=lambda: np.zeros((3, *SHAPE), dtype=np.uint8))
    proposed: State = field(default_factory=lambda: np.zeros(SHAPE, dtype=np.uint8))
    past: list[Step] = field(default_factory=list)
    future: list[Step] = field(default_factory=list)
    taken: int | None = None

    def shown(self, index: int) -> State:
        return self.now[0, index] if self.now[2, index, 0, 0] else self.proposed[index]

    def begin(self, index: int, joined: bool = False) -> Step:
        """Open an act on a slice; taking a slice is one with the act after it."""
        if self.taken != index and not joined:
            self.past.append(Step(self.now.copy(), self.now.copy(), self.now.copy()))
        self.taken = None
        self.future.clear()
        step = self.past[-1]
        if not self.now[2, index, 0, 0]:
            self.now[0, index] = step.taken[0, index] = self.proposed[index]
            self.now[2, index] = step.taken[2, index] = 1
        return step

    def end(self, step: Step) -> None:
        step.after = self.now.copy()

    def draw(self, slices: dict[int, State], locked: set[int]) -> None:
        """Draw on slices as one act."""
        joined = False
        for index, labels in slices.items():
            shown, fixed = self.shown(index), list(locked)
            changed = (labels != shown) & ~np.isin(shown, fixed) & ~np.isin(labels, fixed)
            if not changed.any():
                continue
            step = self.begin(index, joined)
            joined = True
            self.now[0, index][changed] = labels[changed]
            self.now[1, index][changed] = 2
            self.now[2, index] = 1
            self.end(step)

    def change(self, index: int, box: Box, accept: bool, locked: set[int], whole: bool) -> None:
        """Accept or reject a box of a slice."""
        step = self.begin(index)
        where = (index, *box.slices)
        nobody = self.now[1][where] == 0
        if accept:
            self.now[1][where][nobody] = 3
            self.now[2, index] = 2 if whole else self.now[2, index]
        else:
            self.now[0][where][nobody & ~np.isin(self.now[0][where], list(locked))] = 0
        self.end(step)

    def refuses(self, step: Step | None, locked: set[int]) -> bool:
        """Whether taking a step, back or forth, changes voxels of a locked class."""
        if step is None:
            return False
        changed = step.taken[0] != step.after[0]
        seen = set(step.taken[0][changed]) | set(step.after[0][changed])
        return bool(seen & locked)


class Run:
    """A project, its shadows, and random operations on both."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.rng = np.random.default_rng(seed)
        Project.create(folder, "p", numbered_classes(["a", "b", "c"]))
        self.scans = [self._scan(number) for number in range(CASES)]
        self.shadows = [Shadow() for _ in range(CASES)]
        self.locked: set[int] = set()
        self.current = 0
        self.open()

    def open(self) -> None:
        self.project = Project.open(self.folder, "r")
        self.cases = [self.project.session.open(scan) for scan in self.scans]
        for case, shadow in zip(self.cases, self.shadows, strict=True):
            # Proposals live as long as the sitting.
            shadow.proposed[:] = 0
            assert case.human.locked == self.locked

    @property
    def case(self) -> Case:
        return self.cases[self.current]

    @property
    def shadow(self) -> Shadow:
        return self.shadows[self.current]

    @property
    def names(self) -> tuple[str, ...]:
        """The operations, each as often as it is likely."""
        return OPERATIONS

    def step(self) -> str:
        """Do one random operation; return what is wrong after it, or nothing."""
        name = self.names[self.rng.integers(len(self.names))]
        getattr(self, f"do_{name}")()
        fault = self.fault()
        return f"after {name}: {fault}" if fault else ""

    def fault(self) -> str:
        """Return how the current case differs from its shadow."""
        return _difference(self.case.work.human, self.shadow.now)

    def replayed_fault(self) -> str:
        """Return how the journal, replayed, differs from the shadows."""
        self.project.wait()
        for record, shadow in zip(self.project.records.cases.values(), self.shadows, strict=True):
            human = self.project.restored(record).human
            difference = _difference(human, shadow.now)
            if difference:
                return f"replayed: {difference}"
        return ""

    def restart(self) -> None:
        self.project.close()
        self.open()

    def close(self) -> None:
        self.project.close()

    def do_paint(self) -> None:
        self._draw(self._slices(1), int(self.rng.integers(CLASSES)))

    def do_erase(self) -> None:
        self._draw(self._slices(1), 0)

    def do_paint_through(self) -> None:
        self._draw(self._slices(int(self.rng.integers(2, SHAPE[0] + 1))), None)

    def do_fill(self) -> None:
        (index,) = self._slices(1)
        labels = self.shadow.shown(index).copy()
        point = tuple(self.rng.integers(0, n) for n in SHAPE[1:])
        parts, _ = ndimage.label(labels == labels[point])
        labels[parts == parts[point]] = self.rng.integers(CLASSES)
        self._draw_slices({index: labels})

    def do_undo(self) -> None:
        self._history(self.shadow.past, self.shadow.future, back=True)

    def do_redo(self) -> None:
        self._history(self.shadow.future, self.shadow.past, back=False)

    def do_take(self) -> None:
        (index,) = self._slices(1)
        taken = self.case.take(index)
        assert (taken is None) == bool(self.shadow.now[2, index, 0, 0])
        if taken is not None:
            self.shadow.taken = None
            self.shadow.end(self.shadow.begin(index))
            self.shadow.taken = index

    def do_accept_patch(self) -> None:
        patch = self._patch()
        self.case.accept_patch(patch)
        self.shadow.change(patch.slice, patch.box, True, self.locked, whole=False)

    def do_accept_slice(self) -> None:
        (index,) = self._slices(1)
        self.case.accept_slice(index)
        self.shadow.change(index, Box(0, 0, *SHAPE[1:]), True, self.locked, whole=True)

    def do_reject(self) -> None:
        patch = self._patch()
        self.case.reject_patch(patch)
        self.shadow.change(patch.slice, patch.box, False, self.locked, whole=False)

    def do_seed(self) -> None:
        (index,) = self._slices(1)
        labels = self.rng.integers(0, CLASSES, SHAPE[1:], dtype=np.uint8)
        changed = labels != self.shadow.now[0, index]
        seen = set(labels[changed]) | set(self.shadow.now[0, index][changed])
        if seen & self.locked:
            with suppress(LockedError):
                self.case.seed(index, labels)
                raise AssertionError("a seed changed a locked class")
            return
        self.case.seed(index, labels)
        if self.shadow.taken != index:
            self.shadow.past.append(Step(*(self.shadow.now.copy() for _ in range(3))))
        self.shadow.taken = None
        self.shadow.future.clear()
        self.shadow.now[:, index] = labels, np.full(SHAPE[1:], 1), np.full(SHAPE[1:], 2)
        self.shadow.end(self.shadow.past[-1])

    def do_lock(self) -> None:
        self.locked = {c for c in range(1, CLASSES) if self.rng.random() < 0.15}
        self.project.lock_classes(sorted(self.locked))

    def do_propose(self) -> None:
        (index,) = self._slices(1)
        labels = self.rng.integers(0, CLASSES, SHAPE[1:], dtype=np.uint8)
        score = np.zeros(SHAPE[1:], dtype=np.uint8)
        taken = self.case.publish(Proposal(index, labels, score, (), str(labels[0, 0])))
        assert taken is not bool(self.shadow.now[2, index, 0, 0])
        if taken:
            self.shadow.proposed[index] = labels

    def do_forge(self) -> None:
        """Write the network's word past the case, where a human vouches: it must be refused."""
        vouched = [i for i in range(SHAPE[0]) if self.shadow.now[1, i].any()]
        if not vouched:
            return
        index, box = int(self.rng.choice(vouched)), Box(0, 0, *SHAPE[1:])
        before = self.case.human.state(index, box)
        labels = ((before.labels + 1) % CLASSES).astype(np.uint8)
        for provenance in (before.provenance, np.zeros_like(before.provenance)):
            after = SliceState(labels, provenance, SliceStatus.EDITED)
            forged = Correction.between(Act.TAKE, index, box, before, after)
            with suppress(ValueError):
                self.case.human.apply(forged)
                raise AssertionError("the network's word was put over a human's")

    def do_switch(self) -> None:
        self.current = int(self.rng.integers(CASES))

    def _draw(self, indices: Sequence[int], label: int | None) -> None:
        slices = {}
        for index in indices:
            labels = self.shadow.shown(index).copy()
            row, column = (int(self.rng.integers(n)) for n in SHAPE[1:])
            height, width = self.rng.integers(1, 5, 2)
            chosen = self.rng.integers(CLASSES) if label is None else label
            labels[row : row + height, column : column + width] = chosen
            slices[index] = labels
        self._draw_slices(slices)

    def _draw_slices(self, slices: dict[int, State]) -> None:
        if len(slices) == 1:
            ((index, labels),) = slices.items()
            self.case.draw(index, labels)
        else:
            self.case.draw_slices(slices)
        self.shadow.draw(slices, self.locked)

    def _history(self, source: list[Step], target: list[Step], back: bool) -> None:
        step = source[-1] if source else None
        if self.shadow.refuses(step, self.locked):
            with suppress(LockedError):
                self.case.undo() if back else self.case.redo()
                raise AssertionError("undo or redo changed a locked class")
            return
        done = self.case.undo() if back else self.case.redo()
        assert (done is None) == (step is None)
        if step is None or done is None:
            return
        target.append(source.pop())
        self.shadow.now = (step.before if back else step.after).copy()
        last = self.case.work.history.to_undo[-1:]
        merges = bool(last) and last[0].act is Act.TAKE
        self.shadow.taken = last[0].slice if merges else None

    def _slices(self, count: int) -> list[int]:
        return [int(i) for i in self.rng.permutation(SHAPE[0])[:count]]

    def _patch(self) -> Patch:
        (index,) = self._slices(1)
        top, left = (int(self.rng.integers(n - 2)) for n in SHAPE[1:])
        bottom, right = (int(self.rng.integers(a + 1, n + 1)) for a, n in zip(
            (top, left), SHAPE[1:], strict=True))  # fmt: skip
        return Patch(index, Box(top, left, bottom, right), 0.5, Reason.REGION)

    @staticmethod
    def _scan(number: int) -> Volume:
        array = np.random.default_rng(number).integers(0, 900, SHAPE).astype(np.int16)
        return Volume(array, Geometry((5.0, 0.7, 1.3)))


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


def _difference(human: HumanMask, now: State) -> str:
    statuses = [SliceStatus.UNTOUCHED, SliceStatus.EDITED, SliceStatus.ACCEPTED]
    if not np.array_equal(human.labels, now[0]):
        return "labels differ"
    if not np.array_equal(human.provenance, now[1]):
        return "provenance differs"
    found = [statuses.index(human.status(i)) for i in range(SHAPE[0])]
    return "" if found == list(now[2, :, 0, 0]) else "statuses differ"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.f8")
    parser.add_argument("--count", type=int, default=100_000, help="number of operations")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    # Here, because what is tested without it must not need napari.
    from tests.faults.f8_layers import LayerRun

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
