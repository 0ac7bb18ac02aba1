"""F12: bit flips in checkpoints, snapshots and journals.

    python -m tests.faults.f12 --count 300

A case flips one bit of a file, anywhere in it; opening the file must be refused. The journal is
tried both ways: closed in order, where any flip must be refused; and as a crash leaves it, without
its seal, where SQLite keeps bytes that mean nothing. There a flip must be refused, or be harmless:
every entry is bit for bit as it was, and so it is after work went on in that file. Then the opened
project shows the same masks, takes further strokes, which a full check finds good, and is sealed.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_crii.checkpoint import load_checkpoint, save_checkpoint
from napari_crii.checkpoint_info import read_checkpoint_info
from napari_crii.classes import numbered_classes
from napari_crii.errors import CheckpointError, JournalError, TrainingError
from napari_crii.session import Case, journal_file, journal_seal
from napari_crii.session.journal import Journal
from napari_crii.session.project import Project
from napari_crii.session.project_folder import JOURNAL
from napari_crii.snapshot import load_snapshot, save_snapshot
from tests.factories import noise_scan, small_checkpoint
from tests.faults.frame import Verdict, main

SHAPE = (4, 40, 50)
MORE_STROKES = 12
_KINDS = ("checkpoint", "snapshot", "journal", "journal after a crash")


def check(seed: int, folder: Path) -> Verdict:
    """Flip one bit; the seed chooses the kind of file and the bit."""
    kind = _KINDS[seed % len(_KINDS)]
    whole = _files()[kind.split()[0]]
    bit = int(np.random.default_rng(seed).integers(8 * len(whole)))
    flipped = bytearray(whole)
    flipped[bit // 8] ^= 1 << bit % 8
    path = folder / JOURNAL
    path.write_bytes(flipped)
    if kind == "journal":
        shutil.copyfile(_folder() / "p" / f"{JOURNAL}.sha256", journal_seal.seal_path(path))
    refused = _refused(kind, path)
    fault = "" if refused else "taken"
    if not refused and kind.endswith("crash"):
        fault = _harm(path)
    outcome = f"{kind} refused" if refused else "in unused bytes, work went on"
    return Verdict(f"bit {bit} of a {kind}", fault, outcome)


def _harm(path: Path) -> str:
    """Return what a flip that was not refused did, now or once work went on; else nothing."""
    # Asking whether it is refused sealed the journal, with the flipped bit in it.
    journal_seal.unseal(path)
    if _entries(path) != _entries_before():
        return "an entry changed"
    scan = noise_scan(0, SHAPE)
    with Project.open(path.parent) as project:
        case = project.session.open(scan)
        if not np.array_equal(case.human.labels, _labels_before()):
            return "the mask changed"
        for number in range(MORE_STROKES):
            _stroke(case, number, np.random.default_rng(number))
        labels = case.human.labels.copy()
    before, after = _entries_before(), _entries(path)
    if after[: len(before)] != before or len(after) < len(before) + MORE_STROKES:
        return "entries changed when work went on"
    with Project.open(path.parent) as project:
        again = project.session.open(scan)
        same = np.array_equal(again.human.labels, labels) and not project.recovered
    return "" if same else "the mask changed when work went on"


def _stroke(case: Case, number: int, rng: np.random.Generator) -> None:
    index = number % SHAPE[0]
    labels = case.shown(index).copy()
    row, column = rng.integers(0, 30, 2)
    labels[row : row + 9, column : column + 9] = (labels[row, column] + 1) % 3
    case.draw(index, labels)


def _refused(kind: str, path: Path) -> bool:
    try:
        if kind == "checkpoint":
            load_checkpoint(path)
        elif kind == "snapshot":
            load_snapshot(path)
        else:
            Journal(path).close()
    except (CheckpointError, JournalError, TrainingError):
        return True
    if kind == "checkpoint":
        read_checkpoint_info(path)
    return False


def _entries(path: Path) -> list[journal_file.Row]:
    return list(journal_file.verified_rows(path))


@cache
def _entries_before() -> list[journal_file.Row]:
    return _entries(_folder() / "p" / JOURNAL)


@cache
def _labels_before() -> NDArray[np.integer]:
    with Project.open(_folder() / "p", read_only=True) as project:
        (record,) = project.records.cases.values()
        return project.restored(record).human.labels


@cache
def _folder() -> Path:
    """Return a folder with one file of each kind, made once."""
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    save_checkpoint(folder / "checkpoint", small_checkpoint())
    Project.create(folder / "p", "p", numbered_classes(["a", "b"]))
    with Project.open(folder / "p") as project:
        case = project.session.open(noise_scan(0, SHAPE))
        rng = np.random.default_rng(0)
        for number in range(60):
            _stroke(case, number, rng)
        case.accept_slice(2)
        save_snapshot(folder / "snapshot", project.session.snapshot())
    return folder


@cache
def _files() -> dict[str, bytes]:
    folder = _folder()
    paths = {"journal": folder / "p" / JOURNAL}
    paths |= {kind: folder / kind for kind in ("checkpoint", "snapshot")}
    return {kind: path.read_bytes() for kind, path in paths.items()}


if __name__ == "__main__":
    try:
        code = main("F12", check, full=300)
    finally:
        shutil.rmtree(_folder())
    sys.exit(code)
