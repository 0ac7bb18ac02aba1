"""From a damaged project to a new one with all that is intact."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from napari_crii.errors import JournalError, ProjectError
from napari_crii.session import journal_file
from napari_crii.session.entries import Entry
from napari_crii.session.journal import to_entry
from napari_crii.session.journal_seal import verify_seal
from napari_crii.session.project_folder import JOURNAL, make_journal, require_empty, require_project
from napari_crii.session.scan_files import CARD


@dataclass(frozen=True)
class Salvaged:
    """What a salvage found.

    Attributes
    ----------
    kept
        How many entries the new project holds: all up to the first damaged one.
    damage
        One sentence that says what was wrong, or ``""``.
    """

    kept: int
    damage: str


def salvage(damaged: Path, new: Path) -> Salvaged:
    """Make a new project of all entries before the first damaged one; the old one stays as it is.

    Corrections, undo and redo up to there are kept, with scans and weights that were copied in.

    Raises
    ------
    ProjectError
        If there is no project, not one entry is intact, or the new folder is not empty.
    """
    require_project(damaged)
    require_empty(new, "project")
    entries, damage = _intact(damaged / JOURNAL)
    if not entries:
        raise ProjectError(f"{damaged} holds nothing that is intact: {damage}")
    new.mkdir(parents=True, exist_ok=True)
    for name in (CARD, "scans", "checkpoints"):
        _copy(damaged / name, new / name)
    make_journal(new, entries)
    return Salvaged(len(entries), damage)


def _intact(path: Path) -> tuple[list[Entry], str]:
    entries: list[Entry] = []
    try:
        verify_seal(path)
        damage = ""
    except JournalError as error:
        damage = str(error)
    try:
        for row in journal_file.chained_rows(path):
            entries.append(to_entry(row))
    except JournalError as error:
        damage = str(error)
    return entries, damage


def _copy(source: Path, target: Path) -> None:
    try:
        if source.is_dir():
            shutil.copytree(source, target)
        elif source.is_file():
            shutil.copyfile(source, target)
    except (OSError, shutil.Error) as error:
        raise ProjectError(f"{source} was not copied: {error}") from error
