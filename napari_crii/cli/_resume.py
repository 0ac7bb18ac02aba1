"""What a finished scan leaves beside its files, so that a second run need not compute it again."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from napari_crii.cli._proposal_files import ProposalFiles
from napari_crii.errors import WriteError
from napari_crii.io.atomic import atomic_write

_FORMAT = 2
_REPORTED = ("patches", "doubt", "slice_doubt", "seconds", "checkpoint")


@dataclass(frozen=True)
class Origin:
    """What a proposal follows from: the same origin gives the same files.

    Attributes
    ----------
    scan, checkpoint
        Digests of voxels with their grid, and of the weights.
    views
        Mirrored views that were averaged.
    """

    scan: str
    checkpoint: str
    views: int


def done_file(files: ProposalFiles) -> Path:
    """Return where the note about a finished scan stands."""
    stem = files.disagreement.name.rpartition("_disagreement")[0]
    return files.disagreement.with_name(f"{stem}_done.json")


def write_done(path: Path, origin: Origin, files: ProposalFiles, record: dict[str, Any]) -> None:
    """Note that the files of a scan are complete: their digests, and what was reported.

    Neither the path nor the name of the scan is noted.

    Raises
    ------
    WriteError
        If it cannot be written, or does not read back the same.
    """
    text = json.dumps(
        {
            "format": _FORMAT,
            **asdict(origin),
            "files": {file.name: _digest(file) for file in files.all},
            "report": {key: record[key] for key in _REPORTED},
        },
        indent=2,
        allow_nan=False,
    )

    def verify(written: Path) -> None:
        if written.read_text("utf-8") != text:
            raise WriteError("it did not read back the same")

    atomic_write(path, lambda target: _write(target, text), verify)


def report_of_done(origin: Origin, files: ProposalFiles) -> dict[str, Any] | None:
    """Return what was reported of a scan; None unless all its files are there and unchanged.

    A note that is damaged, or of another origin, counts as none.
    """
    try:
        noted = json.loads(done_file(files).read_text("utf-8"))
        report = dict(noted["report"])
        expected = {"format": _FORMAT, **asdict(origin)}
        same = all(noted[key] == value for key, value in expected.items())
        if not same or noted["files"] != {file.name: _digest(file) for file in files.all}:
            return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return report if set(report) == set(_REPORTED) else None


def _write(target: Path, text: str) -> None:
    target.write_text(text, "utf-8", newline="\n")


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
