"""What a user can cause ends as one sentence on standard error and an exit code."""

from __future__ import annotations

import errno
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from napari_crii.errors import CriiError

USER_ERROR = 2
INTERRUPTED = 130


class GuardedGroup(TyperGroup):
    """The commands, with their failures put into words."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command; anything but a user's error is a defect and keeps its traceback."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            typer.echo("Interrupted: nothing more was written.", err=True)
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            raise
        except (CriiError, OSError, MemoryError) as error:
            typer.echo(f"Error: {sentence(error)}", err=True)
            raise typer.Exit(USER_ERROR) from None
        except RuntimeError as error:
            if not _is_short_of_memory(error):
                raise
            typer.echo(f"Error: {sentence(MemoryError())}", err=True)
            raise typer.Exit(USER_ERROR) from None


def _is_short_of_memory(error: RuntimeError) -> bool:
    """Whether torch, if it is at work at all, found no memory."""
    if "torch" not in sys.modules:
        return False
    from napari_crii.device import is_out_of_memory

    return is_out_of_memory(error)


def sentence(error: BaseException) -> str:
    """Say in one line what went wrong, and with which file."""
    if isinstance(error, MemoryError):
        return "this needs more memory than the computer has free"
    if isinstance(error, OSError) and error.errno is not None:
        from napari_crii.io.atomic import in_words

        where = f"{error.filename}: " if error.filename else ""
        if error.errno == errno.ENOENT:
            return f"{where}it does not exist"
        return f"{where}{in_words(error)}"
    return " ".join(str(error).split())
