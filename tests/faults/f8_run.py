"""The random operations of F8 on the cases of a project, each done to the shadow as well."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from scipy import ndimage

from napari_crii.classes import numbered_classes
from napari_crii.errors import LockedError
from napari_crii.geometry import Geometry
from napari_crii.patches import Box, Patch, Reason
from napari_crii.session import Act, Case, Correction, Proposal
from napari_crii.session.correction import SliceState, SliceStatus
from napari_crii.session.project import Project
from napari_crii.volume import Volume
from tests.faults.f8_shadow import SHAPE, Shadow, State, Step, difference

CLASSES = 4
CASES = 3
OPERATIONS = (
    *("paint", "paint", "fill", "erase", "undo", "undo", "redo", "paint_through", "accept_patch"),
    *("accept_slice", "reject", "lock", "propose", "propose", "forge", "switch", "take", "seed"),
)


class Run:
    """A project, its shadows, and random operations on both."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.rng = np.random.default_rng(seed)
        Project.create(folder, "p", numbered_classes(["a", "b", "c"]))
        self.scans = [scan(number) for number in range(CASES)]
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
        return difference(self.case.work.human, self.shadow.now)

    def replayed_fault(self) -> str:
        """Return how the journal, replayed, differs from the shadows."""
        self.project.wait()
        for record, shadow in zip(self.project.records.cases.values(), self.shadows, strict=True):
            human = self.project.restored(record).human
            found = difference(human, shadow.now)
            if found:
                return f"replayed: {found}"
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


def scan(number: int) -> Volume:
    """Return one of several different scans."""
    array = np.random.default_rng(number).integers(0, 900, SHAPE).astype(np.int16)
    return Volume(array, Geometry((5.0, 0.7, 1.3)))
