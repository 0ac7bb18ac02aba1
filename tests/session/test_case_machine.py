"""Acts on a case in any order: after each of them it equals a shadow of plain arrays."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from numpy.typing import NDArray

from napari_crii.patches import Box
from napari_crii.session import Act, Provenance, SliceStatus
from tests.session.cases import CLASSES, SHAPE, make_case, patch, proposal

INDICES = st.integers(0, SHAPE[0] - 1)


@dataclass
class Shadow:
    """What a case should hold, in plain arrays."""

    labels: NDArray[np.int64] = field(default_factory=lambda: np.zeros(SHAPE, dtype=np.int64))
    vouched: NDArray[np.int64] = field(default_factory=lambda: np.zeros(SHAPE, dtype=np.int64))
    status: list[str] = field(default_factory=lambda: ["untouched"] * SHAPE[0])

    def copy(self) -> Shadow:
        return Shadow(self.labels.copy(), self.vouched.copy(), list(self.status))


class CaseMachine(RuleBasedStateMachine):
    """Acts in any order: the case equals its shadow after each of them."""

    def __init__(self) -> None:
        super().__init__()
        self.case = make_case()
        self.now = Shadow()
        self.proposed = np.zeros(SHAPE, dtype=np.int64)
        self.past: list[Shadow] = []
        self.future: list[Shadow] = []
        self.taken: int | None = None

    def begin(self, index: int) -> None:
        """Remember what stood before an act; taking a slice is one with the act after it."""
        if self.taken != index:
            self.past.append(self.now.copy())
        self.taken = None
        self.future.clear()
        self.adopt(index)

    def only_taken(self) -> int | None:
        """Return the slice that the last standing act took and did nothing more on, if any."""
        if not self.past or not np.array_equal(self.past[-1].vouched, self.now.vouched):
            return None
        pairs = zip(self.past[-1].status, self.now.status, strict=True)
        return next((i for i, pair in enumerate(pairs) if pair == ("untouched", "edited")), None)

    def adopt(self, index: int) -> None:
        if self.now.status[index] == "untouched":
            self.now.labels[index] = self.proposed[index]
            self.now.status[index] = "edited"

    @rule(index=INDICES, seed=st.integers(0, 99))
    def publish(self, index: int, seed: int) -> None:
        offered, untouched = proposal(index, seed), self.now.status[index] == "untouched"
        assert self.case.publish(offered) is untouched
        if untouched:
            self.proposed[index] = offered.labels

    @rule(index=INDICES)
    def take(self, index: int) -> None:
        correction = self.case.take(index)
        assert (correction is not None) == (self.now.status[index] == "untouched")
        if correction is not None:
            self.past.append(self.now.copy())
            self.future.clear()
            self.adopt(index)
            self.taken = index

    @rule(index=INDICES, seed=st.integers(0, 10**6), amount=st.integers(0, 6))
    def draw(self, index: int, seed: int, amount: int) -> None:
        rng = np.random.default_rng(seed)
        drawn = np.array(self.case.shown(index), dtype=np.int64)
        where = rng.integers(0, drawn.size, amount)
        drawn.ravel()[where] = rng.integers(0, CLASSES, amount)
        changed = drawn != self.case.shown(index)
        correction = self.case.draw(index, drawn)
        assert (correction is None) == (not changed.any())
        if correction is None:
            return
        rows, columns = np.nonzero(changed)
        assert correction.box == Box(rows.min(), columns.min(), rows.max() + 1, columns.max() + 1)
        self.begin(index)
        self.now.labels[index] = drawn
        self.now.vouched[index][changed] = Provenance.DRAWN
        self.now.status[index] = "edited"

    @rule(index=INDICES)
    def accept_slice(self, index: int) -> None:
        self.case.accept_slice(index)
        self.begin(index)
        vouched = self.now.vouched[index]
        vouched[vouched == 0] = Provenance.ACCEPTED
        self.now.status[index] = "accepted"

    @rule(index=INDICES, top=st.integers(0, 3), left=st.integers(0, 5))
    def accept_patch(self, index: int, top: int, left: int) -> None:
        self.case.accept_patch(patch(index, top, left))
        self.begin(index)
        inside = self.now.vouched[index][top : top + 4, left : left + 5]
        inside[inside == 0] = Provenance.ACCEPTED

    @rule(index=INDICES, seed=st.integers(0, 99))
    def seed_slice(self, index: int, seed: int) -> None:
        labels = proposal(index, seed).labels
        self.case.seed(index, labels)
        if self.taken != index:
            self.past.append(self.now.copy())
        self.taken = None
        self.future.clear()
        self.now.labels[index] = labels
        self.now.vouched[index] = Provenance.SEED
        self.now.status[index] = "accepted"

    @rule(seed=st.integers(0, 99))
    def seed_all_slices(self, seed: int) -> None:
        masks = {index: proposal(index, seed + index).labels for index in range(SHAPE[0])}
        assert [c.slice for c in self.case.seed_slices(masks)] == list(masks)
        if self.taken != 0:
            self.past.append(self.now.copy())
        self.taken = None
        self.future.clear()
        for index, labels in masks.items():
            self.now.labels[index] = labels
        self.now.vouched[:] = Provenance.SEED
        self.now.status = ["accepted"] * SHAPE[0]

    @rule()
    def undo(self) -> None:
        assert (self.case.undo() is None) == (not self.past)
        if self.past:
            self.future.append(self.now)
            self.now = self.past.pop()
        self.taken = self.only_taken()

    @rule()
    def redo(self) -> None:
        correction = self.case.redo()
        assert (correction is None) == (not self.future)
        if correction is not None:
            self.past.append(self.now)
            self.now = self.future.pop()
            self.taken = correction.slice if correction.act is Act.TAKE else None

    @rule()
    def undo_everything_and_do_it_again(self) -> None:
        steps = 0
        while self.case.undo() is not None:
            steps += 1
        assert steps == len(self.past)
        assert not self.case.human.labels.any()
        assert not self.case.human.provenance.any()
        assert self.case.slices_with(SliceStatus.UNTOUCHED) == [0, 1, 2]
        assert self.case.corrections == ()
        last = [self.case.redo() for _ in range(steps)][-1:]
        if last and last[0] is not None:
            self.taken = last[0].slice if last[0].act is Act.TAKE else None

    @invariant()
    def the_case_equals_its_shadow(self) -> None:
        human = self.case.human
        assert np.array_equal(human.labels, self.now.labels)
        assert np.array_equal(human.provenance, self.now.vouched)
        assert [str(self.case.status(i)) for i in range(SHAPE[0])] == self.now.status

    @invariant()
    def the_mask_is_made_of_both(self) -> None:
        untouched = np.array([s == "untouched" for s in self.now.status])[:, None, None]
        expected = np.where(untouched, self.proposed, self.now.labels)
        assert np.array_equal(self.case.mask(include_proposals=True), expected)
        expected = np.where(untouched, 0, self.now.labels)
        assert np.array_equal(self.case.mask(include_proposals=False), expected)

    @invariant()
    def the_last_corrections_are_those_of_a_walk_over_all(self) -> None:
        walked = self.case.corrections
        assert self.case.last is (walked[-1] if walked else None)
        for index in range(SHAPE[0]):
            on = [c.number for c in walked if c.slice == index]
            assert self.case.last_number_on(index) == (on[-1] if on else None)

    @invariant()
    def nothing_can_be_written_from_outside(self) -> None:
        stores = (self.case.human.labels, self.case.human.provenance, self.case.proposals.labels)
        assert not any(array.flags.writeable for array in (*stores, self.case.shown(0)))


CaseMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestCaseMachine = CaseMachine.TestCase
