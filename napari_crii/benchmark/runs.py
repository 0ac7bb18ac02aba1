"""A file of finished runs, one JSON object per line: what is there is not computed again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_crii.errors import ScanError

Run = dict[str, Any]


def read_runs(path: Path) -> list[Run]:
    """Return the finished runs; none if the file does not exist.

    Raises
    ------
    ScanError
        If a line, the last one apart, is not a JSON object: a run cut short leaves half a line.
    """
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    runs = []
    for number, line in enumerate(lines, start=1):
        try:
            runs.append(json.loads(line))
        except ValueError as error:
            if number == len(lines):
                break
            raise ScanError(f"{path}: line {number} is not a finished run") from error
    return runs


def find_run(runs: list[Run], key: Mapping[str, Any]) -> Run | None:
    """Return the run whose fields include `key`."""
    return next((r for r in runs if all(r.get(k) == v for k, v in key.items())), None)


def append_run(path: Path, run: Run) -> None:
    """Add a finished run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    whole = text if text.endswith("\n") or not text else text[: text.rfind("\n") + 1]
    path.write_text(whole + json.dumps(run, allow_nan=False) + "\n", encoding="utf-8")
