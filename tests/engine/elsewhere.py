"""Stands in for `ssh HOST napari-crii engine`: runs it as if on another machine.

    python elsewhere.py HIDDEN TMPDIR [--trainer | MODULE ARGUMENTS...]

Another folder, another TMPDIR, and whatever Python opens or removes below HIDDEN is refused, in
this program's children and in theirs. It stays in between and copies bytes, as ssh does.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import BinaryIO

ROOT = Path(__file__).resolve().parents[2]
HIDE = """
import os, sys

def hide(event, arguments):
    if event in ("open", "os.listdir", "os.remove", "os.rename", "os.mkdir") and arguments:
        path = arguments[0]
        if isinstance(path, (str, bytes, os.PathLike)):
            if os.path.realpath(os.fsdecode(path)).startswith({!r}):
                raise PermissionError(13, "not on this machine", os.fsdecode(path))

sys.addaudithook(hide)
"""


def main() -> None:
    hidden, folder, *rest = sys.argv[1:]
    site = Path(folder, "site")
    site.mkdir(exist_ok=True)
    (site / "sitecustomize.py").write_text(HIDE.format(os.path.realpath(hidden)))
    path = os.pathsep.join([str(site), str(ROOT)])
    command = ["napari_crii.cli", "engine", *rest]
    if rest[:1] == ["napari_crii.engine.launch"]:
        command = [*rest, str(os.getpid())]
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", *command],
        cwd="/",
        env={**os.environ, "TMPDIR": folder, "TEMP": folder, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    threading.Thread(target=forward, args=(0, process.stdin), daemon=True).start()
    forward(process.stdout.fileno(), os.fdopen(1, "wb"))
    os._exit(process.wait())


def forward(source: int, target: BinaryIO) -> None:
    """Copy bytes as they come; at their end, end."""
    with target:
        while part := os.read(source, 1 << 16):
            target.write(part)
            target.flush()


if __name__ == "__main__":
    main()
