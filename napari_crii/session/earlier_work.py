"""What was corrected in earlier sittings of a project, for teaching and judging beside today's."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import numpy as np

from napari_crii.errors import CriiError
from napari_crii.session.project import Project
from napari_crii.session.records import CaseRecord
from napari_crii.session.teaching import labelled_slice, taught_slices
from napari_crii.snapshot import LabelledSlice

SLICES_OF_A_CASE = 8
# To judge by, and as many to learn from: new weights are judged before and after each run.
MOST_SLICES = 64
_log = logging.getLogger(__name__)


class EarlierWork:
    """Slices of the cases of a project that were not opened in this sitting.

    They are read once and kept. A case that is opened speaks for itself from then on.

    Parameters
    ----------
    project
        Whose current reading is taken: a second reader learns from nobody else's slices.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._neighbours = -1
        self._found: dict[str, tuple[LabelledSlice, ...]] = {}

    def is_read(self, neighbours: int) -> bool:
        """Whether `read` has been called for a network that reads so many neighbours."""
        return neighbours == self._neighbours

    def read(self, neighbours: int) -> None:
        """Read the slices, of cases that are judged by and of the newest first; this takes long.

        Of a case at most eight slices are taken, spread evenly, and 64 of either side of the
        split in all. A case whose scan is not there, or cannot be read, is left out.
        """
        # Also if it fails: it is not tried again before every run.
        self._neighbours, self._found = neighbours, {}
        room = {True: MOST_SLICES, False: MOST_SLICES}
        for record in self._closed_cases():
            most = min(SLICES_OF_A_CASE, room[record.validation])
            if not most:
                continue
            try:
                slices = self._read_case(record, neighbours, most)
            except CriiError:
                _log.warning("a case of an earlier sitting cannot be read and teaches nothing")
                continue
            room[record.validation] -= len(slices)
            self._found[record.digest] = slices

    def slices(self) -> tuple[LabelledSlice, ...]:
        """Return what was read, without cases that have been opened since."""
        opened = self._project.session.cases
        return tuple(s for key, found in self._found.items() if key not in opened for s in found)

    def _closed_cases(self) -> Iterator[CaseRecord]:
        project = self._project
        records = [*reversed(list(project.records.cases.values()))]
        for record in sorted(records, key=lambda record: not record.validation):
            if record.digest not in project.session.cases and project.scans.is_there(record.name):
                yield record

    def _read_case(
        self, record: CaseRecord, neighbours: int, most: int
    ) -> tuple[LabelledSlice, ...]:
        work = self._project.restored(record)
        said = taught_slices(work)
        if not said:
            return ()
        volume = self._project.scans.read(record)
        patient, judged = record.patient or record.digest, record.validation
        places = np.unique(np.linspace(0, len(said) - 1, most).round().astype(int))
        return tuple(
            labelled_slice(volume, work, said[place], neighbours, patient, validation=judged)
            for place in places
        )
