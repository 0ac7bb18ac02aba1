"""F1: kill -9 at random moments of export, snapshot and journal append.

    python -m tests.faults.f1 --count 1200

A case forks a process that writes, and kills it at a random moment. Afterwards the file must be the
old or the new one, whole; and the journal must hold every stroke that was acknowledged, and the
strokes it holds must be the first ones, without a gap. A naive writer that overwrites in place is
treated the same and shown beside it. A kill cannot test power loss: for that, system calls are
traced once, and every acknowledgement must come after an fsync of the journal and of its folder.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np

from napari_crii.classes import numbered_classes
from napari_crii.geometry import Geometry
from napari_crii.io import read_mask, write_mask
from napari_crii.session import Case
from napari_crii.session.journal import Listener
from napari_crii.session.project import Project
from napari_crii.snapshot import LabelledSlice, Snapshot, load_snapshot, save_snapshot
from napari_crii.volume import IntensityStats, Volume
from tests.faults.frame import Verdict, main, say

SHAPE = (4, 24, 20)
GEOMETRY = Geometry((4.0, 0.7, 1.3))
VERSIONS = 40
_LONGEST_MS = {"export": 60, "snapshot": 40, "journal": 120, "naive": 40}


def check(seed: int, folder: Path) -> Verdict:
    """Run one case: the seed chooses what is killed, and when."""
    kind = ("journal", "export", "snapshot")[seed % 3]
    fault = {"journal": _journal, "export": _export, "snapshot": _snapshot}[kind](seed, folder)
    return Verdict(f"kill -9 during {kind}", fault, kind)


def naive_damages(count: int, folder: Path) -> int:
    """Return how many of `count` files a writer in place leaves damaged when it is killed."""
    return sum(bool(_naive(seed, folder)) for seed in range(count))


def unsynced_acknowledgements() -> tuple[int, int]:
    """Trace a process that draws 20 strokes; return its acknowledgements, and those unsynced."""
    with tempfile.TemporaryDirectory() as name:
        trace = Path(name, "trace")
        command = ["strace", "-f", "-y", "-o", str(trace)]
        command += ["-e", "trace=fsync,fdatasync,unlink,write", sys.executable, "-m", __name__]
        program = "from tests.faults.f1 import draw_traced; draw_traced({!r})"
        command[-2:] = ["-c", program.format(str(Path(name, "p")))]
        subprocess.run(command, check=True, capture_output=True)
        return _unsynced(trace.read_text(errors="replace"))


def draw_traced(folder: str) -> None:
    """Draw 20 strokes, one after the other, each acknowledged on descriptor 1."""
    path = Path(folder)
    Project.create(path, "p", numbered_classes(["a", "b"]))
    project = Project.open(path, listener=Listener(saved=lambda saved: _tell(1, saved.number)))
    case = project.session.open(_scan())
    for number in range(20):
        _stroke(case, number)
        project.wait()
    project.close()


def _unsynced(trace: str) -> tuple[int, int]:
    """Count acknowledgements before which journal or folder were written and not synced."""
    acknowledged = unsynced = 0
    journal = folder = False
    for line in trace.splitlines():
        if re.search(r"f(data)?sync\(\d+<.*journal\.sqlite>", line):
            journal = True
        elif re.search(r"f(data)?sync\(\d+<[^>]*/p>", line):
            folder = True
        elif re.search(r"write\(1<[^>]*>, \"saved ", line):
            acknowledged += 1
            unsynced += not (journal and folder)
            journal = folder = False
    return acknowledged, unsynced


def _journal(seed: int, folder: Path) -> str:
    path = folder / "p"
    Project.create(path, "p", numbered_classes(["a", "b"]))
    with Project.open(path) as project:
        project.session.open(_scan())
    acknowledged = _killed("journal", seed, lambda told: _draw_on(path, told))
    with Project.open(path) as project:
        case = project.session.open(_scan())
        drawn = [c for c in case.corrections if c.act == "draw"]
        wanted = Case(_scan(), 3)
        for number in range(len(drawn)):
            _stroke(wanted, number)
        # Entries of the case before the last one acknowledged, of which each stroke makes one
        # and the first one on a slice two.
        kept = project.journal.saved.number
        same = np.array_equal(case.human.provenance, wanted.human.provenance)
        if not same or not np.array_equal(case.human.labels, wanted.human.labels):
            return f"the {len(drawn)} strokes that were kept are not the first {len(drawn)}"
    last = max(acknowledged, default=0)
    return f"entry {last} was acknowledged, {kept} entries were kept" if kept < last else ""


def _draw_on(path: Path, told: int) -> None:
    project = Project.open(path, listener=Listener(saved=lambda saved: _tell(told, saved.number)))
    case = project.session.open(_scan())
    for number in range(100_000):
        _stroke(case, number)
        if number % 3 == 0:
            project.wait()


def _export(seed: int, folder: Path) -> str:
    path = folder / "mask.nii.gz"

    def write(number: int) -> None:
        write_mask(path, _mask(number), GEOMETRY)

    def read() -> int:
        labels, _ = read_mask(path)
        return _which(labels)

    return _replaced("export", seed, write, read)


def _snapshot(seed: int, folder: Path) -> str:
    path = folder / "snapshot.npz"

    def write(number: int) -> None:
        labels = _mask(number)[0]
        image = np.full((1, *labels.shape), number, dtype=np.int16)
        weights = np.ones(labels.shape, dtype=np.float32)
        item = LabelledSlice(image, labels, weights, IntensityStats(0, 1, 0, 1))
        save_snapshot(path, Snapshot((item,) * 3))

    def read() -> int:
        (item, *_) = load_snapshot(path).slices
        number = int(item.image[0, 0, 0])
        return number if np.array_equal(item.labels, _mask(number)[0]) else -1

    return _replaced("snapshot", seed, write, read)


def _naive(seed: int, folder: Path) -> str:
    path = folder / "naive.nii.gz"

    def write(number: int) -> None:
        nibabel.save(nibabel.Nifti1Image(_mask(number).T, np.eye(4)), path)

    def read() -> int:
        return _which(np.asarray(nibabel.load(path).dataobj).T)

    return _replaced("naive", seed, write, read)


def _replaced(kind: str, seed: int, write: Callable[[int], None], read: Callable[[], int]) -> str:
    """Kill a process that writes version after version; the file must hold one not too old."""
    write(0)

    def work(told: int) -> None:
        for number in range(1, 100_000):
            write(number)
            _tell(told, number)

    last = max(_killed(kind, seed, work), default=0)
    try:
        found = read()
    # Whatever a reader says of a damaged file.
    except Exception as error:
        return f"after version {last} the file cannot be read: {error}"
    return "" if found in (last, last + 1) else f"version {last} was done, found is {found}"


def _killed(kind: str, seed: int, work: Callable[[int], None]) -> list[int]:
    """Run `work` in a forked process, kill it at a random moment, return what it told."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        try:
            work(write_end)
        finally:
            os._exit(1)
    os.close(write_end)
    time.sleep(np.random.default_rng(seed).uniform(0, _LONGEST_MS[kind]) / 1000)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    with os.fdopen(read_end) as stream:
        lines = stream.read().splitlines()
    if os.WTERMSIG(status) != signal.SIGKILL:
        raise RuntimeError("the process ended by itself")
    return [int(line.split()[1]) for line in lines]


def _tell(descriptor: int, number: int) -> None:
    os.write(descriptor, f"saved {number}\n".encode())


def _scan() -> Volume:
    return Volume(np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE), GEOMETRY, "scan")


def _mask(number: int) -> np.ndarray:
    """Return a mask from which its number can be read."""
    mask = np.random.default_rng(number).integers(0, 3, SHAPE).astype(np.uint8)
    mask.ravel()[:20] = [number >> bit & 1 for bit in range(20)]
    return mask


def _which(mask: np.ndarray) -> int:
    number = sum(int(value) << bit for bit, value in enumerate(mask.ravel()[:20]))
    return number if np.array_equal(mask, _mask(number)) else -1


def _stroke(case: Case, number: int) -> None:
    rng = np.random.default_rng(number)
    index, row, column = (int(rng.integers(n - 2)) for n in SHAPE)
    labels = case.shown(index).copy()
    labels[row : row + 3, column : column + 3] = 1 + labels[row, column] % 2
    if case.draw(index, labels) is None:
        raise RuntimeError(f"stroke {number} changes nothing")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        say(f"a naive writer in place: {naive_damages(60, Path(temporary))}/60 files damaged")
    bad_syncs = 0
    if shutil.which("strace"):
        acknowledgements, bad_syncs = unsynced_acknowledgements()
        say(f"acknowledged before fsync of file and folder: {bad_syncs}/{acknowledgements}")
    sys.exit(max(int(bad_syncs > 0), main("F1", check, full=1200)))
