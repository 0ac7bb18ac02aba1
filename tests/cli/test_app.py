"""The command line as a whole: what it loads, and how failures end."""

from __future__ import annotations

import errno
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from napari_crii.cli import app
from napari_crii.cli._guard import sentence
from napari_crii.cli._output import progress_bar

HEAVY = ("torch", "napari", "qtpy", "PyQt5", "PyQt6", "SimpleITK", "nilearn")


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["info", "SCAN"]])
def test_nothing_heavy_is_loaded_for_help_and_info(arguments: list[str], scan_file: Path) -> None:
    given = [str(scan_file) if a == "SCAN" else a for a in arguments]
    code = (
        "import sys\nfrom napari_crii.cli import app\n"
        f"try:\n    app({given!r})\nexcept SystemExit as end:\n    assert not end.code\n"
        f"sys.exit(str([m for m in {HEAVY} if m in sys.modules] or ''))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stderr.strip() == ""
    assert result.stdout


def test_every_command_tells_its_options(run) -> None:
    listed = run("--help").stdout
    for command in ("info", "predict", "train", "evaluate", "demo", "doctor"):
        assert command in listed
        # What a terminal of any width and colour shows.
        text = re.sub(r"\x1b\[[0-9;]*m", "", run(command, "--help").stdout)
        assert "--json" in text


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Return every command with the words that call it."""
    if not hasattr(command, "commands"):
        yield path, command
        return
    for name, below in command.commands.items():
        yield from leaves(below, (*path, name))


COMMANDS = dict(leaves(typer.main.get_command(app)))


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_help_ends_with_an_example_that_parses(run, words: tuple[str, ...]) -> None:
    shown = " ".join(run(*words, "--help").stdout.split())
    example = shown.rpartition("Example: ")[2]
    program, *arguments = shlex.split(example)
    assert program == "napari-crii"
    assert tuple(arguments[: len(words)]) == words
    # Parses the options and runs nothing.
    COMMANDS[words].make_context(words[-1], arguments[len(words) :])


def test_no_command_is_a_usage_error(run) -> None:
    for words in ((), ("benchmark",), ("project",)):
        result = run(*words)
        assert result.exit_code == 2
        assert "Usage: " in result.output
    assert run("--version").stdout.startswith("napari-crii ")


@pytest.mark.parametrize(
    ("words", "said", "whose"),
    [
        ("finetune P --ticks 0", "value for '--ticks': ", "finetune"),
        ("finetune P --iterations -1", "value for '--iterations': ", "finetune"),
        ("finetune", "missing argument 'PROJECT';", "finetune"),
        ("finetune P --tick 2", "no such option: --tick", "finetune"),
        ("finetune P --device", "'--device' requires an argument;", "finetune"),
        ("predict", "missing argument 'SCAN...';", "predict"),
        ("--nonsense", "no such option: --nonsense;", ""),
        ("nonsense", "no such command 'nonsense';", ""),
        ("trian", "no such command 'trian', did you mean 'train';", ""),
        ("benchmark ssl", "missing option '--images';", "benchmark ssl"),
        ("benchmark ssl --images", "'--images' requires an argument;", "benchmark"),
        ("benchmark nonsense", "no such command 'nonsense';", "benchmark"),
        ("project --nonsense", "no such option: --nonsense;", "project"),
        ("checkpoint info a b c", "got unexpected extra arguments (b c);", "checkpoint info"),
    ],
)
def test_what_is_typed_wrongly_is_one_sentence(refused, words: str, said: str, whose: str) -> None:
    text = refused(*words.split())
    assert said in text.replace("argument(s)", "arguments")
    assert re.search(rf"; see \S+ {whose}{' ' if whose else ''}--help$", text)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), 130, "Interrupted"),
        (OSError(errno.ENOSPC, "No space left on device", "a.nii"), 2, "a.nii: the disk is full"),
        (MemoryError(), 2, "more memory"),
    ],
)
def test_failures_have_a_code_and_a_sentence(
    run, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, said: str
) -> None:
    import napari_crii.io

    def fail(path: Path, *more: object) -> None:
        raise error

    monkeypatch.setattr(napari_crii.io, "volume_count", fail)
    result = run("info", "scan.nii.gz")
    assert result.exit_code == code
    assert said in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_defect_keeps_its_traceback(run, monkeypatch: pytest.MonkeyPatch) -> None:
    import napari_crii.io

    def fail(path: Path, *more: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(napari_crii.io, "volume_count", fail)
    assert isinstance(run("info", "scan.nii.gz").exception, ZeroDivisionError)


def test_sentences_are_one_line() -> None:
    assert sentence(OSError("two\nlines")) == "two lines"
    assert sentence(FileNotFoundError(errno.ENOENT, "no", "x")) == "x: it does not exist"


def test_progress_is_a_bar_on_a_terminal_and_lines_elsewhere(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with progress_bar("work") as advance:
        advance(1, 2, "")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("napari_crii.cli._output._SECONDS_BETWEEN_LINES", 0.0)
    with progress_bar("work") as advance:
        advance(1, 2, "loss 0.5")
    assert capsys.readouterr().err == "work: 1 of 2 loss 0.5\n"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress_bar("[work]") as advance:
        advance(2, 2, "loss [0.5]")
    captured = capsys.readouterr()
    assert "[work]" in captured.err
    assert captured.out == ""
