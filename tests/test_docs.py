"""What the documentation says must run, and where it points must exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from napari_crii.classes import numbered_classes
from napari_crii.cli import app
from napari_crii.io import write_map
from napari_crii.phantom import make_phantom
from napari_crii.session.project import Project

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
PAGES = sorted(
    {
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "resources").rglob("*.md"),
    }
)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
KEY = re.compile(r'Key\("\w+", "[^"]+", "([^"]+)", "([^"]+)"\)')
REAL_TICK = "TickConfig(iterations=60)"
SHORT_TICK = "TickConfig(iterations=1, batch=1)"


def fenced(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)


def commands(page: Path) -> list[str]:
    lines = "\n".join(fenced(page, "sh")).replace("\\\n", " ").splitlines()
    return [line[line.index("napari-crii ") :] for line in lines if "napari-crii " in line]


def test_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    volume, _ = make_phantom((6, 40, 48))
    monkeypatch.chdir(tmp_path)
    write_map("scan.nii.gz", volume.array, volume.geometry)
    source = "\n".join(fenced(README, "python"))
    assert REAL_TICK in source, "the tick of the README is shortened here: keep them alike"

    names: dict[str, Any] = {"__name__": "readme"}
    exec(compile(source.replace(REAL_TICK, SHORT_TICK), str(README), "exec"), names)

    assert names["proposal"].mask.shape == (6, 40, 48)
    assert {path.name for path in tmp_path.iterdir()} == {
        *("scan.nii.gz", "mask.nii.gz", "tuned.safetensors")
    }


def test_python_of_the_page_on_projects_runs(tmp_path: Path) -> None:
    volume, _ = make_phantom((6, 40, 48))
    Project.create(tmp_path / "p", "p", numbered_classes(["organ"]))
    names: dict[str, Any] = {
        "folder": tmp_path / "p",
        "volume": volume,
        "labels": np.eye(40, 48, dtype=np.uint8),
    }
    (source,) = fenced(ROOT / "docs" / "projects.md", "python")
    exec(compile(source, "projects.md", "exec"), names)

    with Project.open(tmp_path / "p") as project:
        assert [e.kind for e in project.journal.entries_of("case-001/1")][-2:] == [
            *("acted", "undone")
        ]


@pytest.mark.parametrize("line", [line for page in PAGES for line in commands(page)])
def test_command_that_a_page_gives_is_one(line: str) -> None:
    command: Any = typer.main.get_command(app)
    arguments = shlex.split(line, comments=True)[1:]
    while hasattr(command, "commands"):
        assert arguments[0] in command.commands
        command = command.commands[arguments.pop(0)]

    # Parses the options and runs nothing.
    command.make_context(command.name, arguments)


def test_readme_lists_the_keys_of_the_keymap() -> None:
    table = README.read_text("utf-8")
    # Read as text, because the keymap itself needs napari.
    keys = KEY.findall((ROOT / "napari_crii" / "widgets" / "keymap.py").read_text("utf-8"))

    assert keys
    assert [(k, words) for k, words in keys if f"| `{k}` | {words} |" not in table] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.M | re.S)
    targets = [t for t in LINK.findall(text) if not re.match(r"[a-z]+:|#", t)]
    missing = [t for t in targets if not (page.parent / t.split("#")[0]).exists()]

    assert missing == []


def test_every_test_that_a_page_names_is_there() -> None:
    named = {n for page in PAGES for n in re.findall(r"`(test_\w+)`", page.read_text("utf-8"))}
    sources = "\n".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    there = set(re.findall(r"def (test_\w+)\(", sources))
    assert len(named) > 20
    assert named <= there, sorted(named - there)
