from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from napari_crii.session.lock import Holder, ProjectLock
from napari_crii.session.project import Project
from tests.session.projects import new_project, opened, same_work, scan, stroke


def test_a_process_that_is_gone_is_not_named(tmp_path: Path) -> None:
    lock = ProjectLock(tmp_path)
    card = tmp_path / "journal.holder.json"
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"],
                           capture_output=True, text=True, check=True)  # fmt: skip
    facts = {"host": platform.node(), "user": "u", "since": 0.0}
    card.write_text(json.dumps({**facts, "pid": int(ended.stdout)}))
    assert lock.named() is None
    card.write_text(json.dumps({**facts, "pid": os.getpid()}))
    assert lock.named() == Holder(platform.node(), "u", os.getpid(), 0.0)
    card.write_text(json.dumps({**facts, "host": "elsewhere", "pid": int(ended.stdout)}))
    assert lock.named() is not None
    for text in ("", "[]", "{", '{"host": 1}'):
        card.write_text(text)
        assert lock.named() is None


def test_a_full_disk_leaves_no_half_written_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, text: str, encoding: str) -> None:
        path.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    lock = ProjectLock(tmp_path)
    with pytest.raises(OSError, match="No space"):
        lock.acquire()
    lock.release()
    assert not list(tmp_path.glob("*.part"))


def test_looking_at_a_project_keeps_nobody_from_writing(tmp_path: Path) -> None:
    folder = new_project(tmp_path / "p")
    with Project.open(folder, read_only=True) as looking:
        with opened(folder) as project:
            assert not project.read_only
            stroke(project.session.open(scan()), 0, 3, 3)
        assert looking.holder is None
        assert looking.records.cases == {}


def test_what_a_crash_cut_short_is_rolled_back_even_for_a_reader(tmp_path: Path) -> None:
    folder = new_project(tmp_path / "p")
    with opened(folder) as project:
        case = project.session.open(scan())
        stroke(case, 0, 3, 3)
    # Die inside a transaction that has already reached the file.
    program = f"""
import os, sqlite3
from pathlib import Path
from napari_crii.session import journal_file, journal_seal
path = Path({str(folder / "journal.sqlite")!r})
journal_seal.unseal(path)
connection = journal_file.connect(path)
connection.execute("PRAGMA cache_size = 1")
connection.execute("BEGIN IMMEDIATE")
connection.execute("UPDATE entries SET head = head || hex(zeroblob(30000))")
os._exit(9)
"""
    subprocess.run([sys.executable, "-c", program], check=False)
    assert (folder / "journal.sqlite-journal").stat().st_size > 0
    with Project.open(folder, read_only=True) as project:
        assert same_work(project.session.open(scan()), case)
    assert not (folder / "journal.sqlite-journal").exists()
