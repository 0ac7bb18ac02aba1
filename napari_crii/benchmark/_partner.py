"""A process beside ours that is asked to do something and says what came of it."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from napari_crii.errors import CriiError

_CLOSING_SECONDS = 10.0

Answering = Callable[[Any], Any]


class Partner:
    """A process in which `make` builds something that answers; it ends when closed.

    Parameters
    ----------
    make
        A function of a module, called in the other process with `arguments`; what it returns is
        called with every question.
    """

    def __init__(self, make: Callable[..., Answering], *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, make, arguments), name="partner", daemon=True
        )
        self._process.start()
        theirs.close()

    def ask(self, question: Any) -> Any:
        """Wait for the answer to a question.

        Raises
        ------
        CriiError
            If the process ended instead.
        """
        self.begin(question)
        return self.answer()

    def begin(self, question: Any) -> None:
        """Put a question; its `answer` is waited for before the next one. Raises as `ask`."""
        with _ended():
            self._pipe.send(question)

    def answer(self) -> Any:
        """Wait for the answer to the question that was put; raises as `ask`."""
        with _ended():
            return self._pipe.recv()

    def close(self) -> None:
        """End it."""
        self._pipe.close()
        self._process.join(_CLOSING_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


@contextmanager
def _ended() -> Iterator[None]:
    try:
        yield
    except (EOFError, OSError) as error:
        raise CriiError("the benchmark cannot go on: what we compare with ended") from error


def _serve(pipe: Connection, make: Callable[..., Answering], arguments: tuple[Any, ...]) -> None:
    # Standard output is the report's.
    os.dup2(2, 1)
    answer = make(*arguments)
    try:
        while True:
            pipe.send(answer(pipe.recv()))
    except EOFError:
        return
