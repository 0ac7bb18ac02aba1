"""Which program carries the network: this package's on this machine, or the user's choice."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import dataclass

from napari_crii.errors import EngineError

ENGINE = "napari_crii.engine.worker"
TRAINER = "napari_crii.engine.trainer"
VARIABLE = "NAPARI_CRII_ENGINE"


@dataclass(frozen=True)
class Command:
    """How a child is started.

    Attributes
    ----------
    name
        Of the threads that serve it.
    words
        Program and arguments.
    shares_files
        Whether the child sees this machine's files; otherwise they go through the pipe.
    """

    name: str
    words: tuple[str, ...]
    shares_files: bool = True


def engine_command() -> Command:
    """Return what carries the engine: the command in `VARIABLE`, or a child of this machine.

    Raises
    ------
    EngineError
        If `VARIABLE` cannot be split into words.
    """
    chosen = chosen_words()
    return Command(ENGINE, chosen, False) if chosen else local_command(ENGINE)


def trainer_command() -> Command:
    """Return what carries the trainer, as `engine_command`."""
    chosen = chosen_words()
    return Command(TRAINER, (*chosen, "--trainer"), False) if chosen else local_command(TRAINER)


def local_command(name: str) -> Command:
    """Return how the engine or the trainer, by name, is started on this machine."""
    role = "trainer" if name == TRAINER else "engine"
    # -P: a file named like a library, in the folder one happens to be in, is not run.
    start = (sys.executable, "-P", "-m", "napari_crii.engine.launch")
    return Command(name, (*start, role, str(os.getpid())))


def chosen_words() -> tuple[str, ...]:
    """Return the words of the user's command; none, where there is no choice.

    Raises
    ------
    EngineError
        If they cannot be told apart.
    """
    return words_of(os.environ.get(VARIABLE, ""))


def words_of(command: str) -> tuple[str, ...]:
    """Split a command into words, as a shell does.

    Raises
    ------
    EngineError
        If a quotation mark has no partner.
    """
    try:
        return tuple(shlex.split(command))
    except ValueError as error:
        raise EngineError(
            f"{command!r} is no command for the engine: {str(error).lower()}"
        ) from error
