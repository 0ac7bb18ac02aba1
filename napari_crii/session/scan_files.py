"""Where the scans of a project lie: kept apart from the journal, which knows no path."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from napari_crii.errors import CriiError, ProjectError
from napari_crii.io import read_scan
from napari_crii.io.atomic import remove_tree, write_text
from napari_crii.session.records import CaseRecord
from napari_crii.volume import Volume

CARD = "scans.json"
_UNFINISHED = ".unfinished"


class ScanFiles:
    """Paths of scans by case; those inside the project's folder move with it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path_of(self, case: str) -> Path | None:
        """Return where the scan of a case lies, None where nobody said."""
        text = self._read().get(case)
        # Joining with an absolute path gives that path.
        return None if text is None else self._folder / text

    def is_there(self, case: str) -> bool:
        """Whether there is a file or folder where the scan of a case should lie."""
        path = self.path_of(case)
        return path is not None and path.exists()

    def holds(self, record: CaseRecord) -> bool:
        """Whether the scan of a case lies where it should, and is the one that was entered."""
        path = self.path_of(record.name)
        return path is not None and _is_scan(path, record.digest)

    def put(self, case: str, path: Path) -> None:
        """Remember where the scan of a case lies.

        Raises
        ------
        WriteError
            If that cannot be written.
        """
        absolute = Path(os.path.abspath(path))
        home = Path(os.path.abspath(self._folder))
        inside = absolute.is_relative_to(home)
        text = absolute.relative_to(home).as_posix() if inside else str(absolute)
        card = json.dumps({**self._read(), case: text}, indent=2, sort_keys=True)
        write_text(self._folder / CARD, card)

    def keep(self, record: CaseRecord, path: Path, copy: bool) -> None:
        """Remember where the scan of a case lies; copy it into the project first, if so wished.

        Raises
        ------
        ProjectError, WriteError
            If it cannot be copied, or its place not be written down; no copy remains.
        """
        if not copy:
            self.put(record.name, path)
            return
        copied = self._copy_in(record, path)
        try:
            self.put(record.name, copied)
        except CriiError:
            remove_tree(copied)
            raise

    def _copy_in(self, record: CaseRecord, path: Path) -> Path:
        """Copy the scan of a case, file or folder, into the project; return where it lies now.

        Raises
        ------
        ProjectError
            If something of that name is there already, the scan cannot be copied, or the copy
            alone is not the scan, because other files belong to it.
        """
        suffixes = "" if path.is_dir() else "".join(path.suffixes[-2:])
        target = self._folder / "scans" / f"{record.name}{suffixes}"
        if target.exists():
            raise ProjectError(f"{target} exists already")
        partial = target.with_name(f"{_UNFINISHED}{suffixes}")
        try:
            target.parent.mkdir(exist_ok=True)
            remove_tree(partial)
            if path.is_dir():
                shutil.copytree(path, partial)
            else:
                shutil.copyfile(path, partial)
            if not _is_scan(partial, record.digest):
                raise ProjectError(
                    f"{path} was not copied into the project: it is no scan without other files "
                    "that lie beside it; copy their folder, or leave the scan where it is"
                )
            partial.replace(target)
        except (OSError, shutil.Error) as error:
            raise ProjectError(f"{path} was not copied into the project: {error}") from error
        finally:
            remove_tree(partial)
        return target

    def read(self, record: CaseRecord) -> Volume:
        """Read the scan of a case, and make sure that it is the one that was entered.

        Raises
        ------
        ProjectError
            If its place is unknown or another scan lies there.
        ScanError
            If it cannot be read.
        """
        path = self.path_of(record.name)
        if path is None or not path.exists():
            where = "an unknown place" if path is None else path
            raise ProjectError(f"the scan of {record.name} is not in {where}: add it again")
        volume = read_scan(path)
        if volume.digest != record.digest:
            raise ProjectError(f"{path} is not the scan that was entered as {record.name}")
        return volume

    def _read(self) -> dict[str, str]:
        path = self._folder / CARD
        if not path.exists():
            return {}
        try:
            card = json.loads(path.read_text(encoding="utf-8"))
            return {str(case): str(text) for case, text in card.items()}
        except (OSError, ValueError, AttributeError) as error:
            raise ProjectError(f"{path} is damaged: remove it and add the scans again") from error


def _is_scan(path: Path, digest: str) -> bool:
    """Whether a scan of this digest can be read there."""
    try:
        return read_scan(path).digest == digest
    except CriiError:
        return False
