"""Projects that windows have open, remembered beside them: what a crash leaves is offered again.

One small file per project in the user's own folder for states; it goes when the project is closed.
`NAPARI_CRII_STATE` names another folder. What cannot be kept is not offered: nothing else hangs on
it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

from platformdirs import user_state_path

from napari_crii.errors import WriteError
from napari_crii.io.atomic import write_text
from napari_crii.session.lock import ProjectLock
from napari_crii.widgets.wish import is_project

STATE = "NAPARI_CRII_STATE"


def remember(project: Path) -> None:
    """Note that a window has this project open."""
    note = _note(project)
    with contextlib.suppress(OSError, WriteError):
        note.parent.mkdir(parents=True, exist_ok=True)
        write_text(note, os.path.abspath(project))


def forget(project: Path) -> None:
    """Note that it was closed."""
    with contextlib.suppress(OSError):
        _note(project).unlink(missing_ok=True)


def left_open() -> Path | None:
    """Return the project that was opened last among those whose window went without closing."""
    left: list[tuple[float, Path]] = []
    for note in _home().glob("*.txt"):
        # Another window may close its project right now.
        with contextlib.suppress(OSError, UnicodeError):
            project = Path(note.read_text(encoding="utf-8"))
            if is_project(project) and ProjectLock(project).named() is None:
                left.append((note.stat().st_mtime, project))
    return max(left)[1] if left else None


def _home() -> Path:
    chosen = os.environ.get(STATE)
    return Path(chosen) if chosen else user_state_path("napari-crii") / "open"


def _note(project: Path) -> Path:
    key = hashlib.sha256(os.path.abspath(project).encode()).hexdigest()[:16]
    return _home() / f"{key}.txt"
