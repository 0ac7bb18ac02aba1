"""One writer per project: a lock of the system, and a file beside it that names the holder."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import platform
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

_CARD_SECONDS = 2.0


@dataclass(frozen=True)
class Holder:
    """Who has a project open for writing.

    Attributes
    ----------
    host, user
        As the system names them.
    pid
        Of the process.
    since
        Seconds since the epoch.
    """

    host: str
    user: str
    pid: int
    since: float

    def in_words(self) -> str:
        """Say it in one phrase."""
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(self.since))
        return f"{self.user} on {self.host} (process {self.pid}) since {when}"


class ProjectLock:
    """The right to write a project.

    The system lets go of the lock when its process ends, however it ends. The file that names
    the holder only informs: it may be stale, and is read only while somebody else holds the lock.

    Parameters
    ----------
    folder
        Of the project.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "journal.lock"
        self._lock = FileLock(self._file, timeout=0, thread_local=False)
        self._card = folder / "journal.holder.json"

    def acquire(self) -> bool:
        """Take the lock and tell who holds it; False if another has it.

        Raises
        ------
        OSError
            If the folder cannot be written.
        """
        try:
            self._lock.acquire()
        except Timeout:
            return False
        holder = Holder(platform.node(), _user(), os.getpid(), time.time())
        partial = self._card.with_suffix(".part")
        try:
            partial.write_text(json.dumps(asdict(holder)), encoding="utf-8")
            partial.replace(self._card)
        except OSError:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            raise
        return True

    def holder(self) -> Holder | None:
        """Return who holds the lock, as far as the file beside it tells.

        Between taking the lock and writing that file a moment passes, in which the file is missing
        or names somebody who is gone: then it is read again for up to two seconds.
        """
        end = time.monotonic() + _CARD_SECONDS
        while not (holder := self.named()) and time.monotonic() < end:
            time.sleep(_CARD_SECONDS / 100)
        return holder

    def named(self) -> Holder | None:
        """Return whom the file beside the lock names, unless his process is gone."""
        try:
            holder = Holder(**json.loads(self._card.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        gone = holder.host == platform.node() and not psutil.pid_exists(holder.pid)
        return None if gone else holder

    def release(self) -> None:
        """Let go of the lock."""
        if self._lock.is_locked:
            self._card.unlink(missing_ok=True)
            self._lock.release()

    def remove(self) -> None:
        """Let go of the lock of a project that is no more, and remove its file.

        Raises
        ------
        OSError
            If it cannot be removed.
        """
        self.release()
        self._file.unlink(missing_ok=True)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "somebody"
