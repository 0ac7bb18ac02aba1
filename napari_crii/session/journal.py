"""The journal's writer: takes entries at once, puts them on the disk on a thread of its own."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from napari_crii.errors import JournalError
from napari_crii.session.entries import Entry
from napari_crii.session.journal_file import (
    Row,
    chained,
    connect,
    digest_of,
    in_words,
    insert,
    migrate,
    read_rows,
    recover,
    rows_since,
    said,
    verified_rows,
)
from napari_crii.session.journal_seal import seal, unseal, verify_seal

_RETRY_SECONDS = 1.0
_GATHERING_SECONDS = 0.02
_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")


@dataclass(frozen=True)
class Saved:
    """Everything up to entry `number` is on the disk, and was read back, since `at` (epoch)."""

    number: int
    at: float


@dataclass(frozen=True)
class Listener:
    """Who hears what becomes of the entries; both are called on the journal's thread.

    Attributes
    ----------
    saved
        Called after each commit.
    trouble
        Called with one sentence when saving fails; it is tried again every second.
    """

    saved: Callable[[Saved], None] = lambda saved: None
    trouble: Callable[[str], None] = lambda sentence: None


class Journal:
    """An open journal; whoever opens it to write holds the project's lock.

    Parameters
    ----------
    path
        An existing journal's file.
    listener
        Who hears what becomes of the entries.
    read_only
        Whether nothing will be appended.

    Attributes
    ----------
    entries
        Those that concern the project as a whole, as they were on opening, oldest first.
    was_closed
        Whether it was closed in order before.
    saved
        Up to where it is on the disk, and since when.

    Raises
    ------
    JournalError
        If the file is damaged, of another kind, or of a newer version.
    """

    def __init__(
        self, path: Path, listener: Listener | None = None, read_only: bool = False
    ) -> None:
        self.path = path
        self._listener = listener or Listener()
        self.was_closed = verify_seal(path)
        if not read_only:
            recover(path)
            migrate(path)
        last, self.entries = 0, []
        digest = bytes(32)
        for row in verified_rows(path):
            last, digest = row[0], row[6]
            if not row[2]:
                self.entries.append(to_entry(row))
        self._number = last
        self._digest = digest
        self.saved = Saved(last, path.stat().st_mtime)
        self._lock = threading.Condition()
        self._queue: queue.SimpleQueue[list[tuple[int, Entry]] | None] = queue.SimpleQueue()
        self._closing = False
        self._awaited = threading.Event()
        self._abandoned = threading.Event()
        self._sentence = ""
        self._thread: threading.Thread | None = None
        if not read_only:
            unseal(path)
            self._thread = threading.Thread(target=self._work, name="journal", daemon=True)
            self._thread.start()

    @property
    def number(self) -> int:
        """Number of the last entry that was appended, on the disk or not."""
        return self._number

    def append(self, entries: Sequence[Entry]) -> int:
        """Hand entries over, in this order, and return the number of the last one at once.

        Entries that are handed over together reach the disk together.

        Raises
        ------
        JournalError
            If the journal is closed, or open for reading only.
        """
        with self._lock:
            if self._thread is None or self._closing:
                raise JournalError(f"{self.path} takes no entries: it is closed")
            self._queue.put(list(enumerate(entries, self._number + 1)))
            self._number += len(entries)
            return self._number

    def entries_of(self, reading: str) -> Iterator[Entry]:
        """Yield the entries of a reading that are on the disk, oldest first."""
        return (to_entry(row) for row in read_rows(self.path, reading))

    def wait(self, number: int | None = None, timeout: float = 30.0) -> Saved:
        """Wait until entry `number`, or all so far, is on the disk.

        Raises
        ------
        JournalError
            If it is not there in time; the entries stay in memory and are tried again.
        """
        wanted = self._number if number is None else number
        with self._lock:
            if self.saved.number < wanted:
                self._awaited.set()
            if not self._lock.wait_for(lambda: self.saved.number >= wanted, timeout):
                count = wanted - self.saved.number
                raise JournalError(
                    f"{self.path}: {count} entries are not saved: {self._sentence or 'no time'}"
                )
            return self.saved

    def close(self, timeout: float = 30.0) -> None:
        """Save what is left, and seal the file.

        Raises
        ------
        JournalError
            If something could not be saved in time.
        """
        if self._thread is None:
            return
        with self._lock:
            self._closing = True
        try:
            self.wait(timeout=timeout)
        finally:
            self._end()
        seal(self.path)

    def abandon(self) -> None:
        """Stop without waiting for what is not on the disk yet; the file stays unsealed."""
        with self._lock:
            self._closing = True
        self._end()

    def _end(self) -> None:
        """Let the thread end; what cannot be saved at once is given up."""
        self._abandoned.set()
        self._awaited.set()
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def _work(self) -> None:
        """Commit what has gathered, batch by batch, until the end.

        Unless somebody waits, a moment passes first: a brush that has just handed a stroke over
        goes on before this thread wants the interpreter.
        """
        while (first := self._queue.get()) is not None:
            self._awaited.wait(_GATHERING_SECONDS)
            batch, last = list(first), False
            while not last and not self._queue.empty():
                item = self._queue.get()
                last = item is None
                batch += item or []
            if not self._save(batch) or last:
                return

    def _save(self, batch: list[tuple[int, Entry]]) -> bool:
        """Commit a batch, trying again until it works; False when the journal is given up."""
        rows: list[Row] = []
        digest = self._digest
        for number, entry in batch:
            rows.append(chained(digest, number, entry))
            digest = rows[-1][6]
        while True:
            try:
                self._commit(rows)
            # Whatever the disk does, what is not saved is said, and tried again.
            except Exception as error:
                self._sentence = said(error.__cause__ or error)
                _tell(self._listener.trouble, f"the work is not saved yet: {self._sentence}")
                if self._abandoned.wait(_RETRY_SECONDS):
                    return False
                continue
            self._digest = digest
            self._acknowledge(rows[-1][0])
            return True

    def _commit(self, rows: list[Row]) -> None:
        """Commit rows, unless an attempt before did, and read them back from the file."""
        with in_words(self.path), closing(connect(self.path)) as connection:
            (last,) = connection.execute("SELECT number FROM last").fetchone()
            if last < rows[0][0]:
                insert(connection, rows)
        found = list(rows_since(self.path, rows[0][0]))
        if found != rows or any(digest_of(self._digest, r[:6]) != r[6] for r in found[:1]):
            raise JournalError(f"{self.path} did not read back the same")

    def _acknowledge(self, number: int) -> None:
        saved = Saved(number, time.time())
        with self._lock:
            self.saved = saved
            self._sentence = ""
            if number >= self._number and not self._closing:
                self._awaited.clear()
            self._lock.notify_all()
        _tell(self._listener.saved, saved)


def _tell(listener: Callable[[_T], None], what: _T) -> None:
    """Call a listener; its defects must not stop the saving."""
    try:
        listener(what)
    except Exception:
        _LOG.exception("a listener of the journal failed")


def to_entry(row: Row) -> Entry:
    """Return the entry that stands in a row."""
    return Entry(row[1], row[2], row[3], row[4], row[5])
