"""A sitting: the cases under work, their classes, and what may be learnt from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from napari_crii.classes import LabelClass
from napari_crii.session.case import Case
from napari_crii.session.correction import SliceStatus
from napari_crii.session.events import CaseEvent, Stood
from napari_crii.session.teaching import (
    UNLABELLED_SLICES,
    labelled_slice,
    taught_slices,
    unlabelled_slices,
)
from napari_crii.session.weights import WeightsList
from napari_crii.snapshot import LabelledSlice, Snapshot
from napari_crii.volume import Volume


class Session:
    """The cases of one sitting.

    Parameters
    ----------
    classes
        Foreground classes.
    reader
        Who corrects.
    make
        Makes the case of a scan that is opened for the first time; without it cases live in
        memory only.

    Attributes
    ----------
    cases
        By the digest of their scans.
    in_memory
        Whether no project keeps the cases.
    heard
        What happened to cases that live in memory only, so that a project can take them in.
    weights
        What was learnt in this sitting while no project kept it.
    """

    def __init__(
        self,
        classes: tuple[LabelClass, ...],
        reader: str = "",
        make: Callable[[Volume], Case] | None = None,
    ) -> None:
        self.classes = classes
        self.reader = reader
        self.cases: dict[str, Case] = {}
        self.in_memory = make is None
        self.heard: dict[str, list[CaseEvent]] = {}
        self.weights = WeightsList()
        self._make = self._new_case if make is None else make
        # By the number of the last correction on it, a slice is told from what it was before.
        self._frozen: dict[str, set[int]] = {}

    @property
    def label_count(self) -> int:
        """Number of label values, background included: one more than the largest class."""
        return max((c.id for c in self.classes), default=0) + 1

    def open(self, volume: Volume) -> Case:
        """Return the case of a scan, a new one if this scan was not opened before."""
        key = volume.digest
        if key not in self.cases:
            self.cases[key] = self._make(volume)
        return self.cases[key]

    def _new_case(self, volume: Volume) -> Case:
        case = Case(volume, self.label_count, self.reader)
        heard = self.heard[volume.digest] = []

        def hear(*events: CaseEvent) -> None:
            # How slices stand only spares replaying: it would take memory for nothing.
            heard.extend(event for event in events if not isinstance(event, Stood))

        case.listen(hear)
        return case

    def snapshot(
        self,
        neighbours: int = 0,
        unlabelled: int = UNLABELLED_SLICES,
        earlier: Iterable[LabelledSlice] = (),
    ) -> Snapshot:
        """Freeze what humans said, for the trainer.

        Parameters
        ----------
        neighbours
            Slices on either side that the network reads as further channels.
        unlabelled
            At most how many slices are added of which nobody has said anything, nearest to the
            corrected ones first, of cases that are not judged by.
        earlier
            Slices of cases that are not open, as of `EarlierWork`.
        """
        self._frozen = {key: set() for key in self.cases}
        for key, number in self._accepted():
            self._frozen[key].add(number)
        labelled = (
            labelled_slice(
                case.volume,
                case.work,
                index,
                neighbours,
                case.patient or key,
                validation=case.validation,
            )
            for key, case in self.cases.items()
            for index in taught_slices(case.work)
        )
        others = unlabelled_slices(self.cases, neighbours, unlabelled)
        return Snapshot((*labelled, *earlier), others)

    def fresh_slices(self) -> int:
        """Return the number of accepted slices that no training has seen."""
        return sum(number not in self.cases[key].notes.learned for key, number in self._accepted())

    def teaches(self) -> bool:
        """Whether there is an accepted slice to learn from, be it once more."""
        return any(True for _ in self._accepted())

    def accepted_meanwhile(self) -> bool:
        """Whether a slice can be learnt from that was accepted since the latest snapshot."""
        frozen = self._frozen
        return any(
            number not in frozen.get(key, ()) and number not in self.cases[key].notes.learned
            for key, number in self._accepted()
        )

    def mark_learned(self) -> None:
        """Remember that training has now seen the accepted slices of the latest snapshot.

        What was accepted, or corrected again, while training ran stays fresh.
        """
        for key, numbers in self._frozen.items():
            self.cases[key].mark_learned(numbers)

    def _accepted(self) -> Iterator[tuple[str, int]]:
        """Yield the number of the last correction on each accepted slice to learn from, by case."""
        for key, case in self.cases.items():
            for index in () if case.validation else case.slices_with(SliceStatus.ACCEPTED):
                number = case.last_number_on(index)
                if number is not None:
                    yield key, number
