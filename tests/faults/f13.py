"""F13: two openers of one project.

    python -m tests.faults.f13 --count 20

Two processes open a project at the same moment: exactly one may write, and the other must read only
and name the process that holds it. Then the holder is killed: the next opener may write.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np

from napari_crii.classes import numbered_classes
from napari_crii.errors import ReadOnlyError
from napari_crii.session.project import Project
from napari_crii.volume import Volume
from tests.faults.frame import Verdict, main

_CONTEXT = multiprocessing.get_context("spawn")
_SECONDS = 60


def check(seed: int, folder: Path) -> Verdict:
    """Open a project twice at once, then a third time after the holder was killed."""
    path = folder / "p"
    Project.create(path, "p", numbered_classes(["a"]))
    barrier = _CONTEXT.Barrier(2)
    pipes = [_CONTEXT.Pipe() for _ in range(2)]
    processes = [
        _CONTEXT.Process(target=open_and_hold, args=(path, barrier, theirs, seed))
        for _, theirs in pipes
    ]
    for process in processes:
        process.start()
    told = [mine.recv() if mine.poll(_SECONDS) else None for mine, _ in pipes]
    fault = _fault(told, [process.pid for process in processes])
    writers = [p for p, said in zip(processes, told, strict=True) if said == ""]
    for process in writers:
        os.kill(process.pid or 0, signal.SIGKILL)
    for (mine, _), process in zip(pipes, processes, strict=True):
        if process not in writers:
            mine.send("go")
        process.join(_SECONDS)
    with Project.open(path) as project:
        if project.read_only or not project.recovered:
            fault = fault or "after the holder was killed, the next one cannot write"
    return Verdict("two openers", fault)


def open_and_hold(path: Path, barrier: Barrier, pipe: Connection, seed: int) -> None:
    """Open, try to write, say what came of it, and hold the project until told to go."""
    barrier.wait(_SECONDS)
    project = Project.open(path, "reader")
    said = project.read_only
    try:
        case = project.session.open(Volume(np.arange(297).reshape(3, 9, 11)))
        case.accept_slice(seed % 3)
        said = said and "could write in spite of it"
    except ReadOnlyError as error:
        said = str(error)
    pipe.send(said)
    pipe.recv()
    project.close()


def _fault(told: list[str | None], pids: list[int | None]) -> str:
    if sorted(said == "" for said in told) != [False, True]:
        return f"not exactly one may write: {told}"
    writer = pids[told.index("")]
    other = next(said for said in told if said != "")
    if f"(process {writer})" not in (other or ""):
        return f"process {writer} is not named: {other}"
    return ""


if __name__ == "__main__":
    sys.exit(main("F13", check, full=20))
