"""What a project knows about itself: its classes, cases and readings, folded from entries."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from napari_crii.classes import LabelClass
from napari_crii.errors import ProjectError
from napari_crii.session.entries import Entry
from napari_crii.session.weights import PublishedWeights, WeightsList

LARGEST_CLASS = 65535
# The setting under which later names and colours of the classes are kept.
CLASSES = "classes"
# The setting that says which weights are in use, until new ones are published.
IN_USE = "in_use"
# The first patient trains; of every five from the second on, the first one validates.
_SPLIT, _VALIDATES = 5, 1


@dataclass(frozen=True)
class CaseRecord:
    """A case as it was entered; nothing of it ever changes.

    Attributes
    ----------
    name
        Unique in the project, safe as a file name.
    patient
        A pseudonym; the same for all scans of a patient.
    digest
        Of the scan.
    shape
        (slices, rows, columns).
    validation
        Whether the network is judged by it and never learns from it.
    """

    name: str
    patient: str
    digest: str
    shape: tuple[int, int, int]
    validation: bool

    def reading(self, number: int = 1) -> str:
        """Return the key of a reading of this case in the journal."""
        return f"{self.name}/{number}"

    def require_names(self, name: str, patient: str) -> None:
        """Raise `ProjectError` if other names than those of this case are given; empty: none."""
        if name not in ("", self.name) or patient not in ("", self.patient):
            raise ProjectError(
                f"this scan is in the project already, as {self.name} of {self.patient}: name it "
                "so, or leave both names out"
            )


@dataclass
class Records:
    """The facts of a project.

    Attributes
    ----------
    name
        In the user's words.
    classes
        Foreground classes.
    cases
        By name, in the order of entering.
    readers
        Who reads, by the key of the reading.
    weights
        What belongs to the project, oldest first, without paths.
    settings
        Free facts.
    """

    name: str = ""
    classes: tuple[LabelClass, ...] = ()
    cases: dict[str, CaseRecord] = field(default_factory=dict)
    readers: dict[str, str] = field(default_factory=dict)
    weights: WeightsList = field(default_factory=WeightsList)
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def checkpoints(self) -> list[str]:
        """Digests of the weights, oldest first."""
        return [weights.digest for weights in self.weights]

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> Records:
        """Fold the entries of a journal that concern the project as a whole.

        Raises
        ------
        ValueError, KeyError, TypeError
            If an entry is not of a known kind.
        """
        records = cls()
        for entry in entries:
            records.take_in(entry)
        return records

    def take_in(self, entry: Entry) -> None:
        """Learn what an entry says."""
        facts = entry.facts
        match entry.kind:
            case "project":
                self.name = str(facts["name"])
                self.classes = tuple(LabelClass(**c) for c in facts["classes"])
            case "case":
                record = CaseRecord(**{**facts, "shape": tuple(facts["shape"])})
                self.cases[record.name] = record
            case "reading":
                self.readers[str(facts["reading"])] = str(facts["reader"])
            case "checkpoint":
                # Journals of before hold the digest only.
                self.weights.add(PublishedWeights(**{"when": entry.at, **facts}))
            case "setting":
                self._set(str(facts["name"]), facts["value"])
            case _:
                raise ValueError(f"unknown kind {entry.kind}")

    def _set(self, name: str, value: Any) -> None:
        self.settings[name] = value
        if name == CLASSES:
            self.classes = _restyled(self.classes, value)
        elif name == IN_USE and value in self.weights:
            self.weights.use(value)

    def validates(self, patient: str) -> bool:
        """Whether a patient's cases validate: as fixed when the first of them was entered."""
        known = {record.patient: record.validation for record in self.cases.values()}
        return known.get(patient, len(known) % _SPLIT == _VALIDATES)

    def by_digest(self, digest: str) -> CaseRecord | None:
        """Return the case of a scan, or None."""
        return next((r for r in self.cases.values() if r.digest == digest), None)

    def new_case(
        self, digest: str, shape: tuple[int, int, int], name: str = "", patient: str = ""
    ) -> CaseRecord:
        """Return what is to be recorded of a scan; nothing is recorded by that.

        Parameters
        ----------
        digest
            Of the scan.
        shape
            (slices, rows, columns).
        name, patient
            Numbered by themselves where empty.

        Raises
        ------
        ProjectError
            If the scan or the name is in the project already, or a name is no file name.
        """
        known = self.by_digest(digest)
        if known is not None:
            raise ProjectError(f"this scan is in the project already, as {known.name}")
        patients = {record.patient for record in self.cases.values()}
        name = require_name(name) if name else self.free_name("case", self.cases)
        patient = require_name(patient) if patient else self.free_name("patient", patients)
        if name in self.cases:
            raise ProjectError(f"there is a case {name} in the project already")
        return CaseRecord(name, patient, digest, shape, self.validates(patient))

    def free_name(self, prefix: str, taken: Iterable[str]) -> str:
        """Return the first of PREFIX-001, PREFIX-002, ... that is not taken."""
        used = set(taken)
        numbers = range(1, len(used) + 2)
        return next(n for n in (f"{prefix}-{i:03d}" for i in numbers) if n not in used)


def _restyled(
    classes: tuple[LabelClass, ...], looks: list[dict[str, Any]]
) -> tuple[LabelClass, ...]:
    """Return classes with other names and colours; their ids are those that the project has."""
    changed = tuple(LabelClass(**facts) for facts in looks)
    if [c.id for c in changed] != [c.id for c in classes]:
        raise ValueError("classes are renamed that are not the project's")
    return changed


def require_classes(classes: tuple[LabelClass, ...]) -> None:
    """Raise `ProjectError` unless ids are 1 to 65,535 and ids and names differ."""
    ids = [c.id for c in classes]
    if not classes or not all(1 <= i <= LARGEST_CLASS for i in ids):
        raise ProjectError(f"a project needs classes with ids from 1 to {LARGEST_CLASS}")
    if len(set(ids)) != len(ids) or len({c.name for c in classes}) != len(classes):
        raise ProjectError("two classes of a project have the same id or the same name")


def require_name(name: str) -> str:
    """Return a name of a case or patient, or raise `ProjectError`: it becomes a file name."""
    plain = name.replace("-", "").replace("_", "")
    if not plain.isascii() or not plain.isalnum() or len(name) > 64:
        raise ProjectError(f"'{name}' is no name of a case: use up to 64 letters, digits, - and _")
    return name
