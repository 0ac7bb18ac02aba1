"""A file of finished runs, one JSON object per line: what is there is not computed again."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_crii.errors import CriiError

Run = dict[str, Any]

# How every run that a benchmark writes begins.
_BEGINNINGS = (b'{"data": "', b'{"draw": ', b'{"fold": ')


def read_runs(path: Path) -> list[Run]:
    """Return the finished runs; none if the file does not exist.

    What stands after the last line break and begins like a run was cut short, and is none.

    Raises
    ------
    CriiError
        If a line is not a JSON object, or what follows the last one does not begin like a run.
    """
    if not path.exists():
        return []
    *lines, tail = path.read_bytes().split(b"\n")
    runs = [_parsed(path, number, line) for number, line in enumerate(lines, start=1)]
    _require_cut_short(path, len(lines) + 1, tail)
    return runs


def find_run(runs: list[Run], key: Mapping[str, Any]) -> Run | None:
    """Return the first run whose fields include `key`."""
    return next(_fitting(runs, key), None)


def _fitting(runs: list[Run], key: Mapping[str, Any]) -> Iterator[Run]:
    return (run for run in runs if all(run.get(k) == v for k, v in key.items()))


def kept_or_made(
    path: Path, finished: list[Run], key: Mapping[str, Any], work: Callable[[], Run]
) -> Run:
    """Return the finished run of a key; without one, do the work and append what it found.

    Parameters
    ----------
    finished
        What was read from `path`.
    key
        What tells the run from others; its fields come first in the run.

    Raises
    ------
    OSError
        As `append_run`; also what the work raises, after which nothing is appended.
    """
    run = find_run(finished, key)
    if run is None:
        run = {**key, **work()}
        append_run(path, run)
    return run


def group_kept_or_made(
    path: Path, finished: list[Run], key: Mapping[str, Any], work: Callable[[], list[Run]]
) -> list[Run]:
    """Return the finished runs that share a key and were written together, as `kept_or_made`.

    Each tells in ``group`` how many they are: a group of which some are missing is made anew.
    """
    group = list(_fitting(finished, key))
    count = group[0]["group"] if group else 1
    if len(group) < count:
        found = work()
        count = len(found)
        group = [{**key, "group": count, **run} for run in found]
        append_runs(path, group)
    return group[-count:]


def as_read_back(parts: Mapping[str, Any]) -> Run:
    """Return settings as they are read back from a run: lists where there were tuples."""
    read_back: Run = json.loads(json.dumps(parts))
    return read_back


def append_run(path: Path, run: Run) -> None:
    """Add a finished run, as `append_runs`."""
    append_runs(path, [run])


def append_runs(path: Path, runs: Sequence[Run]) -> None:
    """Add finished runs, on disk when this returns; earlier runs are never written again.

    A run that was cut short at the end of the file is replaced.

    Raises
    ------
    CriiError
        If the file ends in something that is no run cut short; it is left as it is.
    OSError
        If they cannot be written; the runs before them are as they were.
    """
    lines = b"".join(json.dumps(run, allow_nan=False).encode() + b"\n" for run in runs)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as stream:
        stream.seek(0)
        whole, line_break, tail = stream.read().rpartition(b"\n")
        _require_cut_short(path, whole.count(b"\n") + len(line_break) + 1, tail)
        stream.truncate(len(whole) + len(line_break))
        stream.write(lines)
        stream.flush()
        os.fsync(stream.fileno())


def _parsed(path: Path, number: int, line: bytes) -> Run:
    try:
        run = json.loads(line, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, number) from error
    if not isinstance(run, dict):
        raise _damaged(path, number)
    return run


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _require_cut_short(path: Path, number: int, tail: bytes) -> None:
    """Refuse what is neither empty nor the beginning of a run: somebody else wrote it."""
    if not any(tail[: len(begun)] == begun[: len(tail)] for begun in _BEGINNINGS):
        raise _damaged(path, number)


def _damaged(path: Path, number: int) -> CriiError:
    return CriiError(
        f"{path}: line {number} is no finished run; remove that line, or name another file"
    )
