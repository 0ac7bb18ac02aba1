"""The journal's file: one SQLite table that only grows, each row chained to the one before.

A row's digest covers the digest before it and every field of the row, and a second table holds
the number and digest of the last row: no row can be changed, dropped or cut off unnoticed. What
covers the bytes in which SQLite keeps nothing is the seal (`journal_seal`).
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from napari_crii.errors import JournalError
from napari_crii.io.atomic import copy_file
from napari_crii.session.entries import Entry
from napari_crii.session.journal_seal import seal_path, unseal

SCHEMA = 1
_APPLICATION = 0x43524949
_BUSY_SECONDS = 20.0
_START = bytes(32)
_TABLES = """
CREATE TABLE entries (
    number INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    reading TEXT NOT NULL,
    head TEXT NOT NULL,
    blob BLOB NOT NULL,
    at REAL NOT NULL,
    digest BLOB NOT NULL
) STRICT;
CREATE INDEX of_reading ON entries (reading);
CREATE TABLE last (id INTEGER PRIMARY KEY CHECK (id = 1), number INTEGER, digest BLOB) STRICT;
"""
_FIELDS = "number, kind, reading, head, blob, at, digest"

# From each older schema to the next one; the file was copied before. In the end the tables are
# those above, to the letter.
MIGRATIONS: dict[int, Callable[[sqlite3.Connection], None]] = {}

Row = tuple[int, str, str, str, bytes, float, bytes]


def create(path: Path) -> None:
    """Make an empty journal.

    Raises
    ------
    JournalError
        If there is a file, or none can be made; then none is left.
    """
    if path.exists():
        raise JournalError(f"{path} exists already")
    with in_words(path):
        path.touch(exist_ok=False)
        try:
            _lay_out(path)
        except BaseException:
            with suppress(OSError):
                remove(path)
            raise


def _lay_out(path: Path) -> None:
    with closing(connect(path)) as connection:
        connection.executescript(
            f"PRAGMA application_id = {_APPLICATION}; PRAGMA user_version = {SCHEMA};"
            f"BEGIN; {_TABLES} COMMIT;"
        )
        connection.execute("INSERT INTO last VALUES (1, 0, ?)", (_START,))


def remove(path: Path) -> None:
    """Remove a journal that nobody has open, with its seal and what a cut-short commit left.

    Raises
    ------
    OSError
        If a file of it cannot be removed.
    """
    # The journal last: beside a new one, a commit left over would be rolled back into it.
    for file in (rollback_path(path), seal_path(path), path):
        file.unlink(missing_ok=True)


def rollback_path(path: Path) -> Path:
    """Return where SQLite keeps what it needs to roll back a commit that was cut short."""
    return path.with_name(f"{path.name}-journal")


def connect(path: Path, read_only: bool = False) -> sqlite3.Connection:
    """Open a journal's file; a connection that writes waits for the disk at every commit.

    `synchronous=EXTRA` is `FULL` and syncs the folder, too, after the rollback journal is gone:
    without that, losing power right after a commit could bring the rollback journal back.

    Raises
    ------
    sqlite3.Error
        If the file cannot be opened; `in_words` makes a sentence of it.
    """
    mode = "ro" if read_only else "rw"
    address = f"{path.absolute().as_uri()}?mode={mode}"
    connection = sqlite3.connect(
        address, uri=True, isolation_level=None, timeout=_BUSY_SECONDS, check_same_thread=False
    )
    if not read_only:
        connection.execute("PRAGMA journal_mode = DELETE").fetchall()
        connection.execute("PRAGMA synchronous = EXTRA")
    return connection


@contextmanager
def in_words(path: Path) -> Iterator[None]:
    """Turn what SQLite says into one sentence that names the file."""
    try:
        yield
    except JournalError:
        raise
    # Damaged bytes surface as DatabaseError, OverflowError, a failing decoder, and more.
    except Exception as error:
        raise JournalError(f"{path} cannot be used: {said(error)}") from error


def said(error: BaseException) -> str:
    """Return what went wrong with a journal, in words of the user's world."""
    name = getattr(error, "sqlite_errorname", "")
    known = {
        "SQLITE_FULL": "the disk is full",
        "SQLITE_READONLY": "it is write-protected",
        "SQLITE_CANTOPEN": "it does not exist or may not be opened",
        "SQLITE_CORRUPT": "it is damaged",
        "SQLITE_NOTADB": "it is damaged or no journal",
        "SQLITE_BUSY": "another program is using it",
    }
    main = "_".join(name.split("_")[:2])
    return known.get(main, str(error) or type(error).__name__)


def recover(path: Path) -> None:
    """Roll back a commit that a crash cut short; without one this changes nothing.

    Raises
    ------
    JournalError
        If the file is damaged or cannot be opened for writing.
    """
    with in_words(path), closing(connect(path)) as connection:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchall()


def migrate(path: Path) -> None:
    """Bring a journal of an older schema up to date, after a copy of it was put beside it.

    Raises
    ------
    JournalError
        If the file is no journal, is damaged, or was made by a newer version.
    """
    with in_words(path), closing(connect(path, read_only=True)) as connection:
        schema = _schema(connection, path)
    if schema == SCHEMA:
        return
    unseal(path)
    copy_file(path, path.with_name(f"{path.name}.schema-{schema}"))
    with in_words(path), closing(connect(path)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        for step in range(schema, SCHEMA):
            MIGRATIONS[step](connection)
        connection.execute(f"PRAGMA user_version = {SCHEMA}")
        connection.execute("COMMIT")


def read_rows(path: Path, reading: str | None = None) -> Iterator[Row]:
    """Yield the rows of a reading, or all, oldest first; each is checked by itself.

    Raises
    ------
    JournalError
        If the file cannot be read.
    """
    chosen = "" if reading is None else " WHERE reading = ?"
    values = () if reading is None else (reading,)
    with in_words(path), closing(connect(path, read_only=True)) as connection:
        yield from connection.execute(
            f"SELECT {_FIELDS} FROM entries{chosen} ORDER BY number", values
        )


def rows_since(path: Path, number: int) -> Iterator[Row]:
    """Yield the rows from entry `number` on, oldest first, as `read_rows`."""
    with in_words(path), closing(connect(path, read_only=True)) as connection:
        yield from connection.execute(
            f"SELECT {_FIELDS} FROM entries WHERE number >= ? ORDER BY number", (number,)
        )


def verified_rows(path: Path) -> Iterator[Row]:
    """Yield every row of a journal, oldest first, and verify the file on the way.

    Raises
    ------
    JournalError
        If any part of it is not as it was written; what is wrong is named.
    """
    with in_words(path), closing(connect(path, read_only=True)) as connection:
        connection.execute("BEGIN")
        _schema(connection, path, exact=True)
        _require_tables(connection, path)
        # The quick check does not look into the index, by which a reading's rows are found.
        found = connection.execute("PRAGMA integrity_check(1)").fetchall()
        if found != [("ok",)]:
            raise JournalError(f"{path} is damaged: {found[0][0]}")
        yield from _chain(connection, path)


def _require_tables(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse tables that are not those of `create`, to the letter: a name may have changed."""
    made = {sql for (sql,) in connection.execute("SELECT sql FROM sqlite_master")}
    if made != {statement.strip() for statement in _TABLES.split(";") if statement.strip()}:
        raise JournalError(f"{path} is damaged: its tables are not those of a journal")


def chained_rows(path: Path) -> Iterator[Row]:
    """Yield the rows that continue the chain, until the first damage raises `JournalError`."""
    with in_words(path), closing(connect(path, read_only=True)) as connection:
        connection.execute("BEGIN")
        yield from _chain(connection, path)


def _chain(connection: sqlite3.Connection, path: Path) -> Iterator[Row]:
    previous, number = _START, 0
    for row in connection.execute(f"SELECT {_FIELDS} FROM entries ORDER BY number"):
        number += 1
        previous = digest_of(previous, row[:6])
        if row[0] != number or row[6] != previous:
            raise JournalError(f"{path} is damaged: entry {number} is not as it was written")
        yield row
    if connection.execute("SELECT * FROM last").fetchall() != [(1, number, previous)]:
        raise JournalError(f"{path} is damaged: entries after number {number} are missing")


def insert(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Commit rows that continue the chain, all or none; returns when they are on the disk."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        connection.execute("UPDATE last SET number = ?, digest = ?", (rows[-1][0], rows[-1][6]))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def chained(previous: bytes, number: int, entry: Entry) -> Row:
    """Return the row of an entry that follows the row with digest `previous`."""
    fields = (number, entry.kind, entry.reading, entry.head, entry.blob, entry.at)
    return (*fields, digest_of(previous, fields))


def digest_of(previous: bytes, fields: tuple[int, str, str, str, bytes, float]) -> bytes:
    """Return the SHA-256 over the digest before and the fields of a row, each with its length."""
    number, kind, reading, head, blob, at = fields
    sha = hashlib.sha256(previous)
    for part in (str(number), kind, reading, head, blob, at.hex()):
        content = part if isinstance(part, bytes) else part.encode()
        sha.update(len(content).to_bytes(8, "little"))
        sha.update(content)
    return sha.digest()


def _schema(connection: sqlite3.Connection, path: Path, exact: bool = False) -> int:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (schema,) = connection.execute("PRAGMA user_version").fetchone()
    if application != _APPLICATION:
        raise JournalError(f"{path} is damaged or no journal of this program")
    if schema > SCHEMA:
        raise JournalError(f"{path} was made by a newer version of this program")
    if schema < (SCHEMA if exact else min([*MIGRATIONS, SCHEMA])):
        raise JournalError(f"{path} has schema {schema}, which is not {SCHEMA}")
    return int(schema)
