"""How messages go through a pipe, and what becomes of the files that they name. No torch.

Where both ends see the same disk a message is one JSON line, and names its files by path. Where
they do not, a file goes before the message that names it: a line that says its name and how many
bytes follow, then the bytes. It arrives in a private folder, and the message names it there.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any

from napari_crii.engine.codec import decode, encode
from napari_crii.engine.messages import (
    Learn,
    LearningFinished,
    Message,
    OpenScan,
    SliceProposed,
    UseCheckpoint,
)
from napari_crii.errors import EngineError
from napari_crii.io.atomic import in_words

_log = logging.getLogger(__name__)
_CHUNK = 1 << 20

# The fields that name a file; an empty one names none.
_FILES: dict[type, tuple[str, ...]] = {
    UseCheckpoint: ("path",),
    OpenScan: ("array",),
    Learn: ("snapshot", "checkpoint"),
    SliceProposed: ("labels", "maps"),
    LearningFinished: ("checkpoint",),
}


class Wire:
    """Messages through streams, with or without the files that they name.

    Attributes
    ----------
    files
        The folder in which files arrive; None where both ends see the same files.

    Parameters
    ----------
    lost
        Called with each message that is dropped, because its files did not arrive.
    """

    def __init__(
        self, files: Path | None = None, lost: Callable[[Message], None] = lambda message: None
    ) -> None:
        self.files = files
        self._lost = lost

    def write(
        self, stream: IO[bytes], message: Message, stopped: Callable[[], bool] = lambda: False
    ) -> None:
        """Write a message, its files first.

        Parameters
        ----------
        stopped
            Asked between two parts of a file, which may be long.

        Raises
        ------
        EngineError
            If a file cannot be read; nothing is written then.
        OSError
            If the other end is gone, or the writing was stopped in the midst of a file.
        """
        if self.files is None:
            stream.write(encode(message))
            stream.flush()
            return
        paths = {field: Path(name) for field, name in _named(message).items()}
        with ExitStack() as opened:
            sources = [opened.enter_context(_readable(path)) for path in paths.values()]
            for path, source in zip(paths.values(), sources, strict=True):
                _write_file(stream, path.name, source, stopped)
        stream.write(encode(_renamed(message, {f: p.name for f, p in paths.items()}, "")))
        stream.flush()
        if isinstance(message, SliceProposed):
            for path in paths.values():
                path.unlink(missing_ok=True)

    def read(
        self, stream: IO[bytes], arriving: Callable[[], None] = lambda: None
    ) -> Iterator[Message]:
        """Yield messages until the stream ends; what is none is skipped.

        `arriving` is called with every part of a file, which may take long.
        """
        arrived: dict[str, Path] = {}
        for line in stream:
            announced = None if self.files is None else _announced(line)
            if self.files is not None and announced is not None:
                path = _receive(stream, self.files, *announced, arriving)
                arrived |= {} if path is None else {announced[0]: path}
                continue
            try:
                message = self._located(decode(line), arrived)
            except ValueError:
                _log.warning("a line that is no message was skipped")
                continue
            arrived = {}
            if message is not None:
                yield message

    def _located(self, message: Message, arrived: dict[str, Path]) -> Message | None:
        """Return a message that names its files where they arrived; None if they did not."""
        if self.files is None:
            return message
        named = _named(message)
        # A path of the other end's choosing must never be read, nor deleted, here.
        if set(named.values()) != set(arrived):
            _log.warning("a message was dropped: its files did not come with it")
            self._lost(message)
            return None
        here = {field: str(arrived[name]) for field, name in named.items()}
        return _renamed(message, here, str(self.files))


def _receive(
    stream: IO[bytes], folder: Path, name: str, size: int, arriving: Callable[[], None]
) -> Path | None:
    """Take `size` bytes from the stream; return their file, None if it cannot be kept.

    The file appears whole or not at all.
    """
    partial = folder / f".{name}.part" if _is_plain(name) else Path(os.devnull)
    left = size
    try:
        with partial.open("wb") as target:
            for part in _parts(stream, size):
                left -= len(part)
                arriving()
                target.write(part)
        return partial.replace(folder / name) if _is_plain(name) and not left else None
    except OSError as error:
        _log.warning("a file that was sent could not be kept: %s", in_words(error))
        # What is left of it must not be taken for messages.
        for _ in _parts(stream, left):
            arriving()
        return None


def _named(message: Message) -> dict[str, str]:
    """Return the files that a message names, by field."""
    fields = _FILES.get(type(message), ())
    return {field: getattr(message, field) for field in fields if getattr(message, field)}


def _renamed(message: Message, names: dict[str, str], folder: str) -> Message:
    changes: dict[str, Any] = dict(names)
    if isinstance(message, Learn):
        changes["folder"] = folder
    return replace(message, **changes)


def _readable(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        raise EngineError(f"{path.name} cannot be sent: {in_words(error)}") from error


def _write_file(
    stream: IO[bytes], name: str, source: IO[bytes], stopped: Callable[[], bool]
) -> None:
    size = os.fstat(source.fileno()).st_size
    stream.write(json.dumps({"file": name, "bytes": size}).encode() + b"\n")
    for part in _parts(source, size):
        if stopped():
            break
        stream.write(part)
        size -= len(part)
    # The other end waits for bytes that will not come: only the end of the stream helps it.
    if size:
        raise OSError(f"{name} was not sent to its end")


def _announced(line: bytes) -> tuple[str, int] | None:
    """Return name and size of the file that follows a line, if one does."""
    try:
        match json.loads(line):
            case {"file": str(name), "bytes": int(size)} if size >= 0:
                return name, size
    # Deep nesting exhausts the JSON reader's recursion.
    except (ValueError, RecursionError):
        pass
    return None


def _is_plain(name: str) -> bool:
    """Whether a name, on any system, stays in its folder and is not hidden."""
    plain = PurePosixPath(name).name == name == PureWindowsPath(name).name
    return bool(name) and plain and not name.startswith(".") and not {":", "\0"} & set(name)


def _parts(source: IO[bytes], size: int) -> Iterator[bytes]:
    """Yield `size` bytes in parts, fewer if the source ends before."""
    while size and (part := source.read(min(size, _CHUNK))):
        size -= len(part)
        yield part
