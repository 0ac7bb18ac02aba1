"""The report that a user copies when something went wrong: no names, no paths, no files."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from qtpy import API_NAME, QT_VERSION

from napari_crii.session.project import Project
from napari_crii.widgets.report_words import Remark, report_in_words, without_names
from napari_crii.widgets.sitting import Sitting

_PACKAGES = ("napari-crii", "napari", "torch", "numpy")
_REMARKS = 10


def versions() -> list[str]:
    """Return what runs here, a line each."""
    return [
        *(f"{name} {_version(name)}" for name in _PACKAGES),
        f"Python {platform.python_version()}, {API_NAME} with Qt {QT_VERSION}",
        f"{platform.system()} {platform.release()}, {platform.machine()}",
    ]


def private_names(sitting: Sitting) -> set[str]:
    """Return the names that a report must not hold: of people, scans, cases and folders."""
    session = sitting.session
    names: set[str] = set(Path.home().parts)
    for case in () if session is None else session.cases.values():
        names |= {case.volume.name, case.patient, case.reader}
    for one in () if session is None else session.classes:
        names.add(one.name)
    return names | (set() if sitting.project is None else _names_of(sitting.project))


def _names_of(project: Project) -> set[str]:
    cases = project.records.cases.values()
    return {
        project.records.name,
        project.reader,
        *project.folder.parts,
        *project.records.readers.values(),
        *(name for case in cases for name in (case.name, case.patient)),
    }


def report(
    sitting: Sitting,
    place: str,
    problem: Remark | None,
    remarks: Sequence[Remark],
    files: Sequence[Path],
) -> str:
    """Return the report of a sitting.

    Parameters
    ----------
    place
        Where was computed.
    problem
        The last one.
    remarks
        Of the trainer, oldest first; the last ones are taken.
    files
        Files whose names may occur in sentences.
    """
    private = private_names(sitting) | {name for one in files for name in (one.name, one.stem)}

    def cleaned(one: Remark) -> Remark:
        return Remark(one.at, without_names(one.text, private))

    return report_in_words(
        versions(),
        place,
        None if problem is None else cleaned(problem),
        [cleaned(one) for one in remarks[-_REMARKS:]],
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "is not installed"
