"""A project: cases, classes and weights, kept by one journal of all that happens to them.

Its folder is opened and closed by `project_folder`; here scans become cases, and what the journal
says of a case becomes the case again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from napari_crii.classes import LabelClass
from napari_crii.errors import JournalError, ProjectError, ReadOnlyError
from napari_crii.io import read_scan
from napari_crii.session.case import Case
from napari_crii.session.entries import Entry, entry_of, event_of, make_entry
from napari_crii.session.events import CaseEvent
from napari_crii.session.journal import Listener, Saved
from napari_crii.session.project_folder import OpenFolder, make_folder, open_folder
from napari_crii.session.project_weights import ProjectWeights
from napari_crii.session.reading import Reading
from napari_crii.session.records import CaseRecord
from napari_crii.session.scan_files import ScanFiles
from napari_crii.session.session import Session
from napari_crii.volume import Volume

_CLOSED = "the project is closed"


class Project:
    """An open project; use `Project.open`, and `close` it or use it as a context manager.

    Attributes
    ----------
    folder
        Where it lies.
    records
        Its classes, cases, readers, weights and settings.
    weights
        Its checkpoints, each with its score, and which are in use.
    session
        The cases of this sitting: a scan opened there is restored, and journalled from then on.
    holder
        Who has it open for writing, where that is somebody else and known.
    read_only
        One sentence that says why nothing may be changed, or ``""``.
    recovered
        Whether the sitting before ended without closing the project.
    """

    def __init__(self, opened: OpenFolder, reader: str, reading: int) -> None:
        self.folder = opened.path
        self.journal = opened.journal
        self.records = opened.records
        self.read_only = opened.read_only
        self.holder = opened.holder
        self.recovered = opened.recovered
        self.reader = reader
        self.reading = reading
        self.scans = ScanFiles(self.folder)
        self.session = Session(self.records.classes, reader, self._make)
        self.weights = ProjectWeights(
            self.folder, self.records, self._record, self._require_writable
        )
        self._opened = opened

    @staticmethod
    def create(folder: Path, name: str, classes: Sequence[LabelClass]) -> None:
        """Make a new project in a folder that is empty or does not exist.

        Raises
        ------
        ProjectError
            If the folder holds anything, cannot be made, or the classes are not as required.
        """
        make_folder(folder, name, classes)

    @classmethod
    def open(
        cls,
        folder: Path,
        reader: str = "",
        listener: Listener | None = None,
        *,
        reading: int = 1,
        read_only: bool = False,
    ) -> Project:
        """Open a project: to write, or to read only where another has it open already.

        Parameters
        ----------
        folder
            Of the project.
        reader
            Who corrects in this sitting.
        listener
            Who hears when something is saved, or is not; called on the journal's thread.
        reading
            1, or 2 for a second reading that does not see the first one.
        read_only
            Whether nothing will be changed.

        Raises
        ------
        ProjectError
            If the folder is no project, or its journal is damaged or of a newer version.
        """
        return cls(open_folder(folder, listener, read_only), reader, reading)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def saved(self) -> Saved:
        """Up to where the journal is on the disk, and since when."""
        return self.journal.saved

    def add_scan(
        self, path: Path, name: str = "", patient: str = "", copy: bool = False
    ) -> CaseRecord:
        """Enter a scan as a case; its side of the split is fixed from here on.

        A scan whose case has lost its file is found again by this. What fails leaves no case.

        Parameters
        ----------
        path
            A scan that can be read.
        name, patient
            Letters, digits, - and _ ; numbered by themselves where empty. They appear in exports:
            use pseudonyms.
        copy
            Whether the scan is copied into the project, or stays where it is.

        Raises
        ------
        ProjectError
            If the scan or the name is in the project already.
        ScanError
            If the scan cannot be read.
        ReadOnlyError
            If the project is open for reading only.
        """
        self._require_writable()
        volume = read_scan(path)
        known = self.records.by_digest(volume.digest)
        if known is not None and not self.scans.holds(known):
            known.require_names(name, patient)
            record = known
        else:
            record = self._new_case(volume, name, patient)
        # The journal comes last: what fails before it leaves no case behind.
        self.scans.keep(record, path, copy)
        if record is not known:
            self._record(make_entry("case", "", asdict(record)))
        return record

    def enter(
        self, volume: Volume, name: str = "", patient: str = "", *, trains: bool = False
    ) -> CaseRecord:
        """Enter a scan that is in memory as a case, as `add_scan`; `trains`: for certain."""
        self._require_writable()
        record = self._new_case(volume, name, patient)
        if trains:
            record = replace(record, validation=False)
        self._record(make_entry("case", "", asdict(record)))
        return record

    def _new_case(self, volume: Volume, name: str, patient: str) -> CaseRecord:
        slices, rows, columns = volume.slices().shape[:3]
        return self.records.new_case(volume.digest, (slices, rows, columns), name, patient)

    def open_case(self, name: str) -> Case:
        """Read the scan of a case and bring its work back, from then on under the journal.

        Raises
        ------
        ProjectError
            If there is no such case, or its scan is missing or another one.
        """
        return self.session.open(self.scans.read(self.record_of(name)))

    def record_of(self, name: str) -> CaseRecord:
        """Return the record of a case.

        Raises
        ------
        ProjectError
            If there is no such case.
        """
        if name not in self.records.cases:
            raise ProjectError(f"{self.folder} holds no case {name}")
        return self.records.cases[name]

    def restored(self, record: CaseRecord, reading: int | None = None) -> Reading:
        """Return a reading as the journal has it on the disk, without its scan.

        A second reader does not see the first reading of a case before signing the own one.

        Raises
        ------
        ProjectError
            If that is asked for.
        JournalError
            If the journal contradicts itself.
        """
        wanted = self.reading if reading is None else reading
        if self.reading == 2 and wanted == 1 and not self._is_signed(record):
            raise ProjectError(f"{record.name}: sign your own reading first, then see the other")
        return self._restore(record, wanted)

    @property
    def locked(self) -> frozenset[int]:
        """Classes that are locked in all cases."""
        return frozenset(self.records.settings.get("locked", ()))

    def lock_classes(self, classes: Sequence[int]) -> None:
        """Lock these classes in all cases, and no others."""
        self.set("locked", sorted(classes))
        for case in self.session.cases.values():
            case.lock(classes)

    def set(self, name: str, value: object) -> None:
        """Keep a setting; the value is anything that JSON can hold."""
        self._require_writable()
        self._record(make_entry("setting", "", {"name": name, "value": value}))

    def wait(self) -> Saved:
        """Wait until all so far is on the disk."""
        return self.journal.wait()

    def close(self) -> None:
        """Save what is left, seal the journal, and let others write.

        Raises
        ------
        JournalError
            If something could not be saved.
        """
        self._end()
        self._opened.close()

    def discard(self) -> None:
        """Give up a project that was new when it was opened, and remove its journal and lock.

        For what is kept elsewhere as well: all that was done in the project is lost. Its folder
        and what else lies there stay.

        Raises
        ------
        ReadOnlyError, ProjectError
            If another has it open, or it held anything before; it stays open and as it is.
        OSError
            If a file cannot be removed.
        """
        self._opened.discard()
        self._end()

    def _end(self) -> None:
        self.read_only = self.read_only or _CLOSED
        for case in self.session.cases.values():
            case.read_only = self.read_only

    def require_other_reader(self, record: CaseRecord, reader: str, reading: int) -> None:
        """Raise `ProjectError` if who reads a case for the second time was its first reader."""
        first = self.records.readers.get(record.reading(1))
        if reading == 2 and reader and reader == first:
            raise ProjectError(
                f"{record.name} was read by {first} first: its second reading is somebody else's"
            )

    def _make(self, volume: Volume) -> Case:
        """Make the case of a scan from what the journal says; a new scan is entered."""
        record = self.records.by_digest(volume.digest) or self.enter(volume)
        self.require_other_reader(record, self.reader, self.reading)
        case = Case(volume, self.session.label_count, self.reader)
        self.journal.wait()
        self._replay(case.work, record, self.reading)
        self.keep(case, record)
        return case

    def keep(self, case: Case, record: CaseRecord) -> None:
        """Let the journal hear a case from here on; all before is in the journal already."""
        key = record.reading(self.reading)
        case.patient, case.validation = record.patient, record.validation
        case.read_only = self.read_only
        if not self.read_only:
            self._note_reader(key)
            case.listen(lambda *events: self.append(key, events))
            if case.human.locked != self.locked:
                case.lock(self.locked)

    def _note_reader(self, key: str) -> None:
        if self.reader and self.records.readers.get(key) != self.reader:
            self._record(make_entry("reading", "", {"reading": key, "reader": self.reader}))

    def append(self, key: str, events: Sequence[CaseEvent]) -> None:
        """Write down what happened to a reading, given by its key."""
        self.journal.append([entry_of(event, key) for event in events])

    def _restore(self, record: CaseRecord, reading: int) -> Reading:
        restored = Reading.new(record.shape, self.session.label_count)
        self._replay(restored, record, reading)
        return restored

    def _replay(self, work: Reading, record: CaseRecord, reading: int) -> None:
        entries = self.journal.entries_of(record.reading(reading))
        try:
            work.replay([event_of(entry, record.shape[1:]) for entry in entries])
        except (ValueError, KeyError, TypeError) as error:
            raise JournalError(f"{self.journal.path} contradicts itself: {error}") from error

    def _is_signed(self, record: CaseRecord) -> bool:
        return self._restore(record, self.reading).notes.signature is not None

    def _record(self, entry: Entry) -> None:
        self.journal.append([entry])
        self.records.take_in(entry)

    def _require_writable(self) -> None:
        if self.read_only:
            raise ReadOnlyError(self.read_only)
