"""Files that are either the old one or the new one, verified, and never anything between."""

from __future__ import annotations

import errno
import filecmp
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from napari_crii.errors import WriteError
from napari_crii.io._refusal import reason

_IN_WORDS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the disk is read-only",
    errno.EACCES: "the folder or file is write-protected or in use",
    errno.EPERM: "the folder or file is write-protected or in use",
    errno.ENOENT: "the folder does not exist",
    errno.ENOTDIR: "the folder does not exist",
    errno.EISDIR: "a folder of that name exists",
    errno.ENAMETOOLONG: "the name is too long",
}
_UNFINISHED = ".unfinished"
_NO_FOLDER_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)


def atomic_write(
    path: str | Path, write: Callable[[Path], None], verify: Callable[[Path], None]
) -> None:
    """Write a file beside its target, sync it to disk, verify it, and only then replace.

    Parameters
    ----------
    path
        The target; a symbolic link is followed.
    write
        Writes a new file at the given path, which lies in the target's folder and keeps its
        last two suffixes.
    verify
        Reads the file at the given path and raises if it is not what was meant.

    Raises
    ------
    WriteError
        If any step fails; the target is as it was, and no temporary file remains. If only the
        last step fails, in which the disk confirms the new name, the target holds the new
        content, and the text says so.
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{secrets.token_hex(6)}{''.join(target.suffixes[-2:])}")
    try:
        _refuse_protected(target)
        write(temporary)
        _sync_file(temporary)
        verify(temporary)
        os.replace(temporary, target)
    # Writers and verifiers are anyone's code: each failure must leave one sentence.
    except Exception as error:
        why = in_words(error).replace(str(temporary), "what was written")
        raise WriteError(f"{path} was not saved: {why}") from error
    finally:
        _remove(temporary)
    _sync_folder(path, target.parent)


def write_text(path: str | Path, text: str) -> None:
    """Write a small text as UTF-8, as `atomic_write`."""

    def verify(written: Path) -> None:
        if written.read_bytes() != text.encode():
            raise WriteError("it did not read back the same")

    atomic_write(path, lambda target: _write_bytes(target, text.encode()), verify)


def copy_file(source: Path, path: str | Path) -> None:
    """Copy a file, as `atomic_write`."""

    def verify(written: Path) -> None:
        if not filecmp.cmp(source, written, shallow=False):
            raise WriteError("it did not read back the same")

    atomic_write(path, lambda target: _copy(source, target), verify)


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Give a folder to fill; what is in it is moved to `folder` when all of it is there.

    If filling it or moving fails, nothing of it stands. What an attempt left that was killed while
    it filled its folder is removed.

    Parameters
    ----------
    folder
        Empty but for such an attempt, or not there yet.

    Raises
    ------
    WriteError
        If a folder cannot be made, or what is in it not be moved.
    """
    is_new, partial = not folder.exists(), folder / _UNFINISHED
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
    except OSError as error:
        raise WriteError(f"{folder} cannot be made: {in_words(error)}") from error
    moved: list[Path] = []
    try:
        yield partial
        try:
            for made in sorted(partial.iterdir()):
                moved.append(made.rename(folder / made.name))
            partial.rmdir()
        except OSError as error:
            raise WriteError(f"{folder} was not filled: {in_words(error)}") from error
    except BaseException:
        # Only what is ours: somebody else may have put something there meanwhile.
        for path in (*moved, partial):
            remove_tree(path)
        if is_new:
            with suppress(OSError):
                folder.rmdir()
        raise


def remove_tree(path: Path) -> None:
    """Remove a file, or a folder with all that is in it, as far as that is possible."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def holds_anything(folder: Path) -> bool:
    """Whether something is there that `whole_folder` must not fill."""
    if not folder.is_dir():
        return folder.exists()
    return any(entry.name != _UNFINISHED for entry in folder.iterdir())


def remove_durably(path: Path) -> None:
    """Remove a file, if it is there, and return when the disk knows.

    Raises
    ------
    OSError
        If it cannot be removed.
    """
    path.unlink(missing_ok=True)
    _confirm(path.parent)


def in_words(error: BaseException) -> str:
    """Say why a file could not be written, in words of the user's world."""
    if isinstance(error, OSError) and error.errno in _IN_WORDS:
        return _IN_WORDS[error.errno]
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    if isinstance(error, MemoryError):
        return "memory ran out"
    return reason(error)


def _refuse_protected(target: Path) -> None:
    # Renaming over a write-protected file succeeds on POSIX, against its owner's wish.
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, "write-protected", str(target))


def _sync_file(path: Path) -> None:
    with open(path, "rb+") as stream:
        os.fsync(stream.fileno())


def _sync_folder(path: str | Path, folder: Path) -> None:
    """Make the rename itself durable; the file's new content stands there already."""
    try:
        _confirm(folder)
    except OSError as error:
        raise WriteError(
            f"{path} holds the new content, but the disk did not confirm it: "
            f"{in_words(error)}, so save it elsewhere, too"
        ) from error


def _confirm(folder: Path) -> None:
    """Sync a folder where the system can (Windows and some shares cannot)."""
    if os.name == "nt":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        # The folder has vanished or become read-only, and with it any way to clean up.
        return


def _write_bytes(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _copy(source: Path, path: Path) -> None:
    shutil.copyfile(source, path)
