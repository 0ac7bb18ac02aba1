"""A sitting: the cases under work, their classes, and what may be learnt from them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_crii.classes import LabelClass
from napari_crii.session.case import Case
from napari_crii.session.correction import Correction, Provenance, SliceStatus
from napari_crii.snapshot import LabelledSlice, Snapshot
from napari_crii.volume import Volume, neighbourhood

GUARD_RING = 3


class Session:
    """The cases of one sitting.

    Parameters
    ----------
    classes
        Foreground classes.
    reader
        Who corrects.
    """

    def __init__(self, classes: tuple[LabelClass, ...], reader: str = "") -> None:
        self.classes = classes
        self.reader = reader
        self.cases: dict[str, Case] = {}
        # By the last correction on it, a slice is told from what it was before.
        self._learned: set[Correction] = set()
        self._frozen: set[Correction] = set()

    def open(self, volume: Volume) -> Case:
        """Return the case of a scan, a new one if this scan was not opened before."""
        key = volume.digest
        if key not in self.cases:
            self.cases[key] = Case(volume, len(self.classes) + 1, self.reader)
        return self.cases[key]

    def snapshot(self, neighbours: int = 0) -> Snapshot:
        """Freeze what humans said, for the trainer.

        Parameters
        ----------
        neighbours
            Slices on either side that the network reads as further channels.
        """
        self._frozen = {last for _, last in self._accepted()}
        return Snapshot(
            tuple(
                self._labelled(key, case, index, neighbours)
                for key, case in self.cases.items()
                for index in case.slices_with(SliceStatus.EDITED, SliceStatus.ACCEPTED)
                if case.human.provenance[index].any()
            )
        )

    def fresh_slices(self) -> int:
        """Return the number of accepted slices that no training has seen."""
        return sum(last not in self._learned for _, last in self._accepted())

    def mark_learned(self) -> None:
        """Remember that training has now seen the accepted slices of the latest snapshot.

        What was accepted, or corrected again, while training ran stays fresh.
        """
        self._learned |= self._frozen

    def _accepted(self) -> Iterator[tuple[int, Correction]]:
        """Return every accepted slice, with the last correction on it."""
        for case in self.cases.values():
            for index in case.slices_with(SliceStatus.ACCEPTED):
                last = case.last_on(index)
                if last is not None:
                    yield index, last

    def _labelled(self, key: str, case: Case, index: int, neighbours: int) -> LabelledSlice:
        return LabelledSlice(
            image=neighbourhood(case.volume, index, neighbours),
            labels=case.human.labels[index].copy(),
            weights=training_weights(case.human.provenance[index]),
            stats=case.volume.intensity,
            pixel_spacing=case.volume.pixel_spacing,
            patient=key,
            replay=case.last_on(index) in self._learned,
        )


def training_weights(provenance: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return how much each pixel (H, W) counts: 1 where a human vouches, 0 elsewhere.

    A ring of 3 pixels around what was drawn counts too: it was looked at and left alone.
    """
    drawn = provenance == Provenance.DRAWN
    ring = ndimage.binary_dilation(drawn, iterations=GUARD_RING) if drawn.any() else drawn
    said: NDArray[np.bool_] = (provenance != Provenance.UNTOUCHED) | ring
    return said.astype(np.float32)
