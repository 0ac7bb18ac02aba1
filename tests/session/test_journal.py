from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_crii.errors import JournalError
from napari_crii.patches import Box
from napari_crii.session import Act, Correction, SliceStatus, journal_file, journal_seal
from napari_crii.session.correction import SliceState
from napari_crii.session.entries import entry_of, event_of, make_entry
from napari_crii.session.events import Acted, Signed, Stood
from napari_crii.session.history import History
from napari_crii.session.journal import Journal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "journal.sqlite"
    journal_file.create(file)
    journal = Journal(file)
    for k in range(20):
        journal.append([make_entry("setting", "", {"name": f"n{k}", "value": k}, bytes(k * 60))])
    journal.close()
    return file


def change(path: Path, statement: str) -> None:
    journal_seal.unseal(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
        connection.commit()


def random_state(rng: np.random.Generator, shape: tuple[int, int], top: int) -> SliceState:
    kind = np.uint8 if top < 256 else np.uint16
    labels = rng.integers(0, top + 1, shape).astype(kind)
    provenance = rng.integers(0, 4, shape).astype(np.uint8)
    return SliceState(labels, provenance, SliceStatus.EDITED)


@given(
    seed=st.integers(0, 999),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    top=st.sampled_from([1, 255, 65535]),
)
def test_events_come_back_from_the_journal_as_they_were(seed, height, width, top) -> None:
    rng = np.random.default_rng(seed)
    before, after = (random_state(rng, (height, width), top) for _ in range(2))
    box = Box(2, 3, 2 + height, 3 + width)
    correction = Correction.between(
        Act.DRAW, 5, box, before, after, reader="r", checkpoint="w", number=seed
    )
    back = event_of(entry_of(Acted(correction, True), "c/1"), (20, 20))
    assert isinstance(back, Acted)
    assert back.joined
    for name in ("act", "slice", "box", "reader", "checkpoint", "at", "number"):
        assert getattr(back.correction, name) == getattr(correction, name)
    for one, other in ((back.correction.before, before), (back.correction.after, after)):
        assert np.array_equal(one.labels, other.labels)
        assert np.array_equal(one.provenance, other.provenance)
        assert one.status is other.status
    stood = event_of(entry_of(Stood(3, before), "c/1"), (height, width))
    assert isinstance(stood, Stood)
    assert np.array_equal(stood.state.labels, before.labels)
    assert np.array_equal(stood.state.provenance, before.provenance)
    signed = Signed("r", 1.5, "d", (1, 2))
    assert event_of(entry_of(signed, "c/1"), (1, 1)) == signed


def test_a_journal_continues_where_it_ended(path: Path) -> None:
    journal = Journal(path)
    assert journal.was_closed
    assert journal.append([make_entry("setting", "", {"name": "a", "value": 1})] * 3) == 23
    journal.close()
    assert [e.facts["name"] for e in Journal(path, read_only=True).entries][-4:] == [
        "n19", "a", "a", "a",
    ]  # fmt: skip
    with pytest.raises(JournalError, match="closed"):
        journal.append([make_entry("setting", "", {})])


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE entries SET head = '{}' WHERE number = 7", "entry 7 is not as it was written"),
        ("UPDATE entries SET at = at + 1 WHERE number = 7", "entry 7"),
        ("UPDATE entries SET reading = 'a' WHERE number = 7", "entry 7"),
        ("DELETE FROM entries WHERE number = 7", "entry 7"),
        ("DELETE FROM entries WHERE number = 20", "entries after number 19 are missing"),
        ("UPDATE last SET number = 21", "missing"),
        ("PRAGMA application_id = 5", "no journal of this program"),
        ("PRAGMA user_version = 99", "newer version"),
        ("DROP TABLE last", "its tables are not those of a journal"),
        ("ALTER TABLE entries RENAME COLUMN digest TO dhgest", "its tables are not those"),
    ],
)
def test_what_was_changed_from_outside_is_named(path: Path, statement: str, words: str) -> None:
    change(path, statement)
    for read_only in (False, True):
        with pytest.raises(JournalError, match=words):
            Journal(path, read_only=read_only)


def test_an_index_that_leads_to_other_rows_is_noticed_without_a_seal(path: Path) -> None:
    journal = Journal(path)
    journal.append([make_entry("setting", "a-reader", {"name": "n", "value": 1})] * 3)
    journal.close()
    journal_seal.unseal(path)
    with closing(journal_file.connect(path, read_only=True)) as connection:
        query = "SELECT rootpage FROM sqlite_master WHERE name = 'of_reading'"
        (page,) = connection.execute(query).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    whole = path.read_bytes()
    at = whole.index(b"a-reader", (page - 1) * size, page * size)
    path.write_bytes(whole[:at] + b"b" + whole[at + 1 :])
    assert [row[0] for row in journal_file.chained_rows(path)] == list(range(1, 24))
    assert len(list(journal_file.read_rows(path, "a-reader"))) == 2
    for read_only in (False, True):
        with pytest.raises(JournalError, match="is damaged"):
            Journal(path, read_only=read_only)


def test_a_sealed_journal_does_not_open_when_any_byte_differs(path: Path) -> None:
    content = bytearray(path.read_bytes())
    unused = content.rindex(bytes(64))
    content[unused] ^= 1
    path.write_bytes(content)
    with pytest.raises(JournalError, match="not as it was when it was closed"):
        Journal(path)
    assert journal_seal.seal_path(path).exists()


def test_every_commit_waits_for_the_disk(path: Path) -> None:
    with closing(journal_file.connect(path)) as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (3,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_an_older_schema_is_brought_up_to_date_beside_a_copy(path: Path, monkeypatch) -> None:
    before = path.read_bytes()
    monkeypatch.setattr(journal_file, "SCHEMA", journal_file.SCHEMA + 1)
    with pytest.raises(JournalError, match="schema 1"):
        Journal(path)
    assert path.read_bytes() == before

    statement = "CREATE INDEX of_kind ON entries (kind)"

    def add_index(connection: sqlite3.Connection) -> None:
        connection.execute(statement)

    monkeypatch.setattr(journal_file, "_TABLES", f"{journal_file._TABLES}{statement};")
    monkeypatch.setitem(journal_file.MIGRATIONS, 1, add_index)
    journal = Journal(path)
    assert len(journal.entries) == 20
    journal.close()
    assert (path.parent / "journal.sqlite.schema-1").read_bytes() == before
    assert Journal(path, read_only=True).was_closed


def test_undo_is_limited_by_bytes_and_the_last_act_always_stays() -> None:
    rng = np.random.default_rng(0)
    history, box = History(limit=5000), Box(0, 0, 30, 30)
    sizes = []
    for number in range(10):
        states = (random_state(rng, (30, 30), 2) for _ in range(2))
        history.add(Correction.between(Act.DRAW, 0, box, *states, number=number))
        sizes.append(len(history.to_undo[0].change))
        history.settle()
    kept = max(k for k in range(11) if sum(sizes[10 - k :]) <= 5000)
    assert 0 < kept < 10
    assert history.size == sum(sizes[10 - kept :])
    assert [c.number for c in history.corrections] == list(range(10))
    steps = 0
    while history.undo():
        steps += 1
    assert steps == kept
    tiny = History(limit=1)
    tiny.add(Correction.between(Act.DRAW, 0, box, *(random_state(rng, (30, 30), 2),) * 2))
    tiny.settle()
    assert len(tiny.undo()) == 1
